// Builds dist/ (ES modules and types) and miniprogram_dist/ (CommonJS, as the npm build of WeChat DevTools takes it).
import { rm, readFile } from "node:fs/promises";
import { build } from "esbuild";

const ENTRIES = ["index", "text", "agui"];
const TARGET = "es2020";

/** Members whose name ends with an underscore are internal: they get short names. */
export const options = (format, outdir) => ({
  entryPoints: ENTRIES.map((name) => new URL(`src/${name}.ts`, import.meta.url).pathname),
  outdir: new URL(outdir, import.meta.url).pathname,
  bundle: true,
  minify: true,
  mangleProps: /[a-z]_$/,
  charset: "utf8",
  format,
  target: TARGET,
  legalComments: "none",
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false, verbatimModuleSyntax: true } },
});

if (process.argv[1] === new URL(import.meta.url).pathname) {
  for (const [format, outdir] of [["esm", "dist"], ["cjs", "miniprogram_dist"]]) {
    await rm(new URL(outdir, import.meta.url), { recursive: true, force: true });
    await build(options(format, outdir));
  }
  for (const name of ENTRIES) console.log(`${name}.js: ${(await readFile(new URL(`dist/${name}.js`, import.meta.url))).length} bytes`);
}
