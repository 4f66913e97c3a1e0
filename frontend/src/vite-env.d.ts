/// <reference types="vite/client" />
/// <reference types="vite-plugin-pwa/client" />

// For tools that do not read .vue files themselves; vue-tsc does, and knows better.
declare module "*.vue" {
  import type { DefineComponent } from "vue"
  const component: DefineComponent<object, object, unknown>
  export default component
}
