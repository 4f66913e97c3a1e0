// New versions of the app: they wait until the person agrees, or the app is opened anew.

import { registerSW } from "virtual:pwa-register"
import { ref } from "vue"

const LOOK_EVERY_MS = 60 * 60 * 1000

/** A new version has been fetched and waits. */
export const isUpdateReady = ref(false)

let activate: (() => Promise<void>) | null = null

/** Call once, when the app stands. */
export function watchUpdates(): void {
  const update = registerSW({
    onNeedRefresh() {
      isUpdateReady.value = true
    },
    onNeedReload() {
      // Who has agreed in another tab may be typing in this one: it asks for itself.
      isUpdateReady.value = true
    },
    onRegisteredSW(_url, registration) {
      if (registration === undefined) return
      const look = () => {
        // Without a network there is nothing to look for; it fails, and is looked for again.
        registration.update().catch(() => undefined)
      }
      setInterval(look, LOOK_EVERY_MS)
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "visible") look()
      })
    },
    onRegisterError(error: unknown) {
      // The app works without it, only not from the cache.
      console.warn("The service worker could not be registered.", error)
    },
  })
  activate = () => update(true)
}

/** Take the new version and reload. */
export async function updateApp(): Promise<void> {
  const { serviceWorker } = navigator
  const registration = await serviceWorker.getRegistration()
  const reload = () => {
    location.reload()
  }
  // Another tab has taken it already: this one only has to load it.
  if (!registration?.waiting) reload()
  else serviceWorker.addEventListener("controllerchange", reload, { once: true })
  await activate?.()
}
