import { defineConfig } from "eslint/config"
import tseslint from "typescript-eslint"

const NO_CLOCK_NO_CHANCE_NO_IO = [
  "Date",
  "performance",
  "crypto",
  "fetch",
  "XMLHttpRequest",
  "WebSocket",
  "indexedDB",
  "localStorage",
  "setTimeout",
  "setInterval",
  "queueMicrotask",
  "globalThis",
  "window",
  "self",
  "document",
  "navigator",
  "console",
  "process",
]

export default defineConfig(
  { ignores: ["dist/", "node_modules/"] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: { allowDefaultProject: ["eslint.config.js"] } },
    },
    rules: {
      eqeqeq: "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
    },
  },
  {
    // Generated; its records are written as index signatures on purpose.
    files: ["src/sync/core/messages.ts"],
    rules: { "@typescript-eslint/consistent-indexed-object-style": "off" },
  },
  {
    files: ["src/sync/core/*.ts"],
    ignores: ["**/*.test.ts"],
    rules: {
      "no-restricted-globals": ["error", ...NO_CLOCK_NO_CHANCE_NO_IO],
      "no-restricted-properties": ["error", { object: "Math", property: "random" }],
      "no-restricted-imports": ["error", { patterns: ["../*", "!./*"] }],
    },
  },
)
