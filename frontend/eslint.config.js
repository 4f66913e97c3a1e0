import { defineConfig } from "eslint/config"
import vue from "eslint-plugin-vue"
import accessibility from "eslint-plugin-vuejs-accessibility"
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
  { ignores: ["dist*/", "node_modules/"] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  ...vue.configs["flat/recommended"],
  ...accessibility.configs["flat/recommended"],
  {
    languageOptions: {
      parserOptions: {
        parser: tseslint.parser,
        projectService: { allowDefaultProject: ["eslint.config.js"] },
        extraFileExtensions: [".vue"],
      },
    },
    rules: {
      eqeqeq: "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    files: ["**/*.vue"],
    rules: {
      // ESLint does not see into other components; vue-tsc does, and checks these.
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      // How lines are broken is the formatter's.
      "vue/max-attributes-per-line": "off",
      "vue/singleline-html-element-content-newline": "off",
      "vue/html-self-closing": ["error", { html: { void: "any" } }],
      "vue/html-closing-bracket-newline": "off",
      "vue/html-indent": "off",
      // A static style attribute would be inline style, which the site's policy forbids.
      "vue/no-static-inline-styles": "error",
      "vue/no-v-html": "error",
      "vuejs-accessibility/label-has-for": ["error", { required: { some: ["nesting", "id"] } }],
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
