import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` against a running server: ATLAS_URL names it.
const server = process.env["ATLAS_URL"] ?? "http://127.0.0.1:5000";
// All but what is large, and needed on few pages.
const SHARED = /lucide-react|tanstack|src\/(api|lib|styles)\/|src\/components\/(?!.*(CodeMirror|Markdown|Chart|Plot))/;

export default defineConfig({
  // The server writes the path in before which a proxy shows it.
  base: "./",
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("src", import.meta.url)) } },
  server: { proxy: { "/api": server } },
  build: {
    outDir: "../src/atlas_server/gui_dist",
    emptyOutDir: true,
    // The policy of the pages allows no data: scripts or styles; fonts stay files, too.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 900,
    target: "es2022",
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // What several pages share comes at once: a file for each icon and button is a request for each.
        codeSplitting: { groups: [{ name: "shared", test: SHARED, minShareCount: 2 }] },
      },
    },
  },
  // Only Vitest reads it.
  ...({
    test: { environment: "jsdom", globals: false, css: false, setupFiles: ["src/testing.tsx"] },
  } as object),
});
