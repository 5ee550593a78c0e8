import { defineConfig } from "vite";

/** Where `npm run dev` finds the API. */
const API = process.env["CONSOLE_API"] ?? "http://127.0.0.1:8787";

export default defineConfig({
  base: "/console/",
  build: {
    target: ["chrome123", "edge123", "firefox120", "safari17.5"],
    // A strict policy on content takes no script or style inside the page, so nothing is inlined but small pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "/v1": API, "/console/config.json": API } },
});
