// What nobody has caught. Nothing here loses anything: what was saved lies in IndexedDB.

import { ref } from "vue"

/** A part of the app that is loaded later is not there any more: after an update. */
export const isPartMissing = ref(false)

/** Call once. `tell` gets what was not caught anywhere. */
export function watchFailures(tell: (error: unknown) => void): void {
  addEventListener("vite:preloadError", (event) => {
    event.preventDefault()
    isPartMissing.value = true
  })
  addEventListener("unhandledrejection", (event) => {
    tell(event.reason)
  })
}
