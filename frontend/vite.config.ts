import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

import tailwind from "@tailwindcss/vite"
import vue from "@vitejs/plugin-vue"
import { defineConfig } from "vite"
import { VitePWA } from "vite-plugin-pwa"

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
// Shared, but only by forms, the panel and other things that come after the first sight.
const ONLY_LATER = /Field\.vue|ui\/rescue\.ts|[Rr]owForm|AppDialog|sortable|workbox/
const DJANGO = "http://127.0.0.1:8000"

// `vite build` makes the app; `--mode fixtures` the page that shows every state, for tests.
export default defineConfig(({ mode }) => {
  const isApp = mode !== "fixtures"
  const outDir = process.argv.includes("--outDir")
    ? (process.argv[process.argv.indexOf("--outDir") + 1] ?? "dist")
    : "dist"
  return {
    // Django serves the built files under /static/app/, and index.html itself as "/".
    base: isApp ? "/static/" : "/",
    publicDir: false,
    resolve: {
      alias: {
        // The module that a bundler can shake: what is exported by default is one piece, for ES5.
        dexie: here("./node_modules/dexie/dist/modern/dexie.mjs"),
        ...(isApp ? {} : { "virtual:pwa-register": here("./src/fixtures/noServiceWorker.ts") }),
      },
    },
    plugins: [
      vue(),
      tailwind(),
      isApp &&
        VitePWA({
          registerType: "prompt",
          injectRegister: false,
          base: "/",
          buildBase: "/",
          scope: "/",
          manifest: {
            id: "/",
            name: "FinWise",
            short_name: "FinWise",
            description: "Haushaltsfinanzen, die auch ohne Netz funktionieren.",
            lang: "de",
            start_url: "/",
            scope: "/",
            display: "standalone",
            background_color: "#f3f5f1",
            theme_color: "#f3f5f1",
            categories: ["finance", "productivity"],
            icons: [
              { src: "/static/finwise/icon.svg", sizes: "any", type: "image/svg+xml" },
              { src: "/static/finwise/icon-192.png", sizes: "192x192", type: "image/png" },
              { src: "/static/finwise/icon-512.png", sizes: "512x512", type: "image/png" },
              {
                src: "/static/finwise/icon-maskable.png",
                sizes: "512x512",
                type: "image/png",
                purpose: "maskable",
              },
            ],
          },
          workbox: {
            // The shell and nothing else: what a household keeps lies in IndexedDB.
            globPatterns: ["index.html", "app/**/*.{js,css}"],
            inlineWorkboxRuntime: true,
            cleanupOutdatedCaches: true,
            // From the first visit on, what is loaded later comes from the cache, too.
            clientsClaim: true,
            // Only the app's own address. Sign-in, admin and status are the server's pages.
            navigateFallback: "/",
            navigateFallbackAllowlist: [/^\/(?:\?.*)?$/],
            manifestTransforms: [
              (entries) => ({
                manifest: entries.map((entry) => ({
                  ...entry,
                  url: entry.url === "index.html" ? "/" : `/static/${entry.url}`,
                  // A hotel's sign-in page that answers for a file must not become the app.
                  integrity: integrityOf(here(`./${outDir}/${entry.url}`)),
                })),
              }),
            ],
          },
        }),
    ],
    define: {
      __VUE_OPTIONS_API__: "false",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
    build: {
      target: "es2022",
      assetsDir: "app",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: {
        input: isApp ? "index.html" : "fixtures.html",
        output: {
          // One file for what the first sight shares with what comes later: a dozen small ones
          // would be 1.7 KiB more.
          codeSplitting: {
            groups: [{ name: "shared", minShareCount: 2, test: (id) => !ONLY_LATER.test(id) }],
          },
        },
      },
    },
    server: {
      proxy: Object.fromEntries(
        ["/api", "/accounts", "/admin", "/sync", "/static/finwise"].map((path) => [path, DJANGO]),
      ),
    },
  }
})

function integrityOf(file: string): string {
  return `sha384-${createHash("sha384").update(readFileSync(file)).digest("base64")}`
}
