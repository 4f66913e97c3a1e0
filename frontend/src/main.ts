// The app starts: first what is kept on this device is shown, then the server is asked.

import "./style.css"

import { createPinia } from "pinia"
import { createApp } from "vue"

import App from "./App.vue"
import { watchFailures } from "./components/app/failures"
import { followHousehold } from "./following"
import { createLanguages, preferredLanguage } from "./i18n"
import { notify } from "./notices"
import { followAddress, route } from "./route"
import { Trouble } from "./services/errors"
import { start } from "./start"
import { applyTheme } from "./theme"
import { watchUpdates } from "./updates"

applyTheme()
followAddress()

const languages = await createLanguages(preferredLanguage())
const pinia = createPinia()
const app = createApp(App)
app.use(pinia)
app.use(languages)

/** What nobody has caught: say it, lose nothing. */
function tell(error: unknown): void {
  console.error(error)
  const words = languages.global
  const key = `problem.${error instanceof Trouble ? error.code : "other"}`
  const text = words.t(words.te(key) ? (key as "problem.other") : "problem.other")
  notify(text, { tone: "trouble" })
}

watchFailures(tell)
app.runWithContext(() => {
  followHousehold(tell)
})
app.mount("#app")
watchUpdates()
await start(pinia, route.value.household).catch(tell)
