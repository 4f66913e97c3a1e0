// The app starts: first what is kept on this device is shown, then the server is asked.

import "./style.css"

import { createPinia } from "pinia"
import { createApp } from "vue"

import App from "./App.vue"
import { watchFailures } from "./components/app/failures"
import { followHousehold } from "./following"
import { hasMessage, preferredLanguage, speak, t } from "./i18n"
import { notify } from "./notices"
import { followAddress, route } from "./route"
import { Trouble } from "./services/errors"
import { start } from "./start"
import { applyTheme } from "./theme"
import { watchUpdates } from "./updates"

applyTheme()
followAddress()

await speak(preferredLanguage()).catch(couldNotOpen)
const pinia = createPinia()
const app = createApp(App)
app.use(pinia)

/** Without its words the app cannot say anything; so these stand here, in both languages. */
function couldNotOpen(error: unknown): never {
  document.body.textContent =
    "FinWise konnte nicht öffnen. Auf diesem Gerät wurde nichts gelöscht. Bitte lade die Seite neu." +
    " – FinWise could not open. Nothing was deleted on this device. Please reload the page."
  throw error
}

/** What nobody has caught: say it, lose nothing. */
function tell(error: unknown): void {
  console.error(error)
  const key = `problem.${error instanceof Trouble ? error.code : "other"}`
  notify(t(hasMessage(key) ? key : "problem.other"), { tone: "trouble" })
}

watchFailures(tell)
app.runWithContext(() => {
  followHousehold(tell)
})
app.mount("#app")
watchUpdates()
await start(pinia, route.value.household).catch(tell)
