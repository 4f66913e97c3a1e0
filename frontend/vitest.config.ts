import { fileURLToPath } from "node:url"

import vue from "@vitejs/plugin-vue"
import { defineConfig } from "vitest/config"

export default defineConfig({
  plugins: [vue()],
  resolve: {
    alias: {
      "virtual:pwa-register": fileURLToPath(
        new URL("./src/fixtures/noServiceWorker.ts", import.meta.url),
      ),
    },
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
    // Two threads: the machines that run this have two cores, and others want one, too.
    maxWorkers: 2,
    // The tests are pure functions: no file needs a process or a context of its own.
    pool: "threads",
    isolate: false,
    // The services find their database; the core does not even have the name of it.
    setupFiles: ["fake-indexeddb/auto"],
    testTimeout: 30_000, // of a busy machine; on an idle one all of them take two seconds
  },
})
