// Compiles the Mini Program for a browser: WeChat's own component framework (glass-easel) and its template compiler, with the
// sample's and TDesign's sources as they are. This is not WeChat: see the README for what differs.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import compiler from "glass-easel-template-compiler";

const HERE = dirname(fileURLToPath(import.meta.url));
const SAMPLE = join(HERE, "../..");
const APP = join(SAMPLE, "miniprogram");
const TDESIGN = join(SAMPLE, "node_modules/tdesign-miniprogram/miniprogram_dist");
const CLIENT = join(SAMPLE, "node_modules/openclaw-miniprogram-client/miniprogram_dist");

/** Paths are those of the app; `miniprogram_npm/…` is where the npm build of DevTools puts a package. */
const file = (path) => path.replace(/^miniprogram_npm\/tdesign-miniprogram/, TDESIGN).replace(/^(?!\/)/, `${APP}/`);
const read = (path) => readFileSync(file(path), "utf8");

function resolve(from, target) {
  if (target.startsWith("/")) return target.slice(1);
  if (target.startsWith("tdesign-miniprogram/")) return `miniprogram_npm/${target}`;
  return posix.join(posix.dirname(from), target);
}

/** All components that the pages use, each behind those that it uses itself. */
function componentsOf(pages) {
  const found = new Map();
  const visit = (path) => {
    if (found.has(path)) return;
    found.set(path, undefined);
    const json = JSON.parse(read(`${path}.json`));
    const generics = Object.values(json.componentGenerics ?? {}).map((generic) => generic.default).filter(Boolean);
    for (const target of [...Object.values(json.usingComponents ?? {}), ...generics]) visit(resolve(path, target));
    found.delete(path);
    found.set(path, json);
  };
  pages.forEach(visit);
  return found;
}

/** rpx are 1/750 of the width; a page is as high as WeChat's bars leave it; one style sheet for all, so isolation is not shown. */
function styleOf(path, seen) {
  if (seen.has(path) || !existsSync(file(path))) return "";
  seen.add(path);
  return read(path)
    .replace(/@import\s+["']([^"']+)["']\s*;?/g, (_, target) => styleOf(resolve(path, target), seen))
    .replace(/@font-face\{font-family:t;[^}]*\}/g, "")
    .replace(/(-?\d*\.?\d+)rpx/g, (_, size) => `calc(${size} * var(--rpx))`)
    .replace(/100vh/g, "var(--page-height)")
    .replace(/(^|[\s,{}])page(?=[\s,{:.])/g, "$1:root");
}

function templatesOf(paths) {
  const group = new compiler.TmplGroup();
  const scripts = new Set();
  const addScript = (path) => {
    if (scripts.has(path)) return;
    scripts.add(path);
    const source = read(`${path}.wxs`);
    for (const [, target] of source.matchAll(/require\(['"]([^'"]+)\.wxs['"]\)/g)) addScript(resolve(path, target));
    group.addScript(path, source.replace(/(require\(['"][^'"]+)\.wxs(['"]\))/g, "$1$2"));
  };
  const add = (path) => {
    // The compiler knows `bind:tap` and not its older spelling.
    const source = read(`${path}.wxml`).replace(/\s(bind|catch)([a-z]+)=/g, " $1:$2=");
    for (const { level, message, start } of group.addTmpl(path, source) ?? []) {
      if (level >= 4) throw new Error(`${path}.wxml:${start?.line}: ${message}`);
    }
    group.getScriptDependencies(path).forEach(addScript);
    for (const other of group.getDirectDependencies(path)) if (!added.has(other)) add(other);
    added.add(path);
  };
  const added = new Set();
  paths.forEach(add);
  const code = group.getTmplGenObjectGroups();
  group.free();
  return code;
}

/** One page of HTML with everything in it. */
export async function compile() {
  const { pages, tabBar } = JSON.parse(read("app.json"));
  const components = componentsOf(pages);
  const paths = [...components.keys()];
  const seen = new Set();
  const styles = ["app", ...paths].map((path) => styleOf(`${path}.wxss`, seen)).join("\n");
  const entry = `
    import { run } from ${JSON.stringify(join(HERE, "phone.js"))};
    run({
      pages: ${JSON.stringify(pages)},
      tabs: ${JSON.stringify(tabBar.list)},
      templates: ${templatesOf(paths)},
      configs: ${JSON.stringify(Object.fromEntries(components))},
      // A component registers when its module runs.
      modules: { ${paths.map((path) => `${JSON.stringify(path)}: () => require(${JSON.stringify(modulePath(path))})`).join(",\n")} },
      app: () => require(${JSON.stringify(join(APP, "app.ts"))}),
    });`;
  // As DevTools does: it copies a package's miniprogram_dist, without its package.json, which would make ES modules of them.
  const npm = mkdtempSync(join(tmpdir(), "sample-npm-"));
  cpSync(CLIENT, npm, { recursive: true });
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: SAMPLE, loader: "js" },
    bundle: true, write: false, format: "iife", target: "es2022", logLevel: "warning", logOverride: { "direct-eval": "silent" },
    alias: {
      "openclaw-miniprogram-client/text": join(npm, "text.js"),
      "openclaw-miniprogram-client": join(npm, "index.js"),
    },
    nodePaths: [join(TDESIGN, "miniprogram_npm")],
    define: { "process.env.NODE_ENV": '"production"' },
  });
  rmSync(npm, { recursive: true });
  return `<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/font/index.css"><style>${styles}\n${readFileSync(join(HERE, "phone.css"), "utf8")}</style></head>
<body><script>${outputFiles[0].text.replace(/<\/script/g, "<\\/script")}</script></body></html>`;
}

function modulePath(path) {
  return existsSync(file(`${path}.ts`)) ? file(`${path}.ts`) : file(`${path}.js`);
}
