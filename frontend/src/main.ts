import "./style.css"

import { createPinia } from "pinia"
import { createApp } from "vue"

import App from "./App.vue"
import { watchFailures } from "./components/app/failures"
import { createLanguages, preferredLanguage } from "./i18n"
import { notify } from "./notices"
import { followAddress } from "./route"
import { applyTheme } from "./theme"
import { watchUpdates } from "./updates"

applyTheme()
followAddress()

const languages = await createLanguages(preferredLanguage())
const app = createApp(App)
app.use(createPinia())
app.use(languages)

watchFailures((error) => {
  console.error(error)
  notify(languages.global.t("problem.other"), { tone: "trouble" })
})
app.mount("#app")
watchUpdates()
