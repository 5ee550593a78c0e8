// Lets Node load the sample's modules as DevTools does: without the extension in imports.
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    const bare = specifier.startsWith(".") && context.parentURL?.endsWith(".ts") && !/\.(ts|mjs|js|json)$/.test(specifier);
    return next(bare ? `${specifier}.ts` : specifier, context);
  },
});
