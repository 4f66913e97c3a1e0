// Whether some other page answers in place of the server, as the sign-in of a Wi-Fi does. The
// socket cannot tell: to it the server is only unreachable.

import { type Ref, ref, watch } from "vue"

import type { SyncStatus } from "../../types"

/** Answers a few bytes, to everybody, and never a page. */
export const SIGN_OF_LIFE = "/health/live"
const PATIENCE_MS = 8_000

/** True while another page answers; looked up each time that the server becomes unreachable. */
export function usePortal(status: Readonly<Ref<SyncStatus>>): Readonly<Ref<boolean>> {
  const isThere = ref(false)
  watch(
    () => status.value.kind,
    async (kind, _previous, onCleanup) => {
      if (kind === "connecting") return // the next attempt; nothing is known of it yet
      if (kind !== "unreachable") {
        isThere.value = false
        return
      }
      const asking = new AbortController()
      onCleanup(() => {
        asking.abort()
      })
      const answers = await isAnotherPage(asking.signal)
      if (!asking.signal.aborted) isThere.value = answers
    },
    { immediate: true },
  )
  return isThere
}

/** No answer at all is no other page. */
export async function isAnotherPage(signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(SIGN_OF_LIFE, {
      cache: "no-store",
      credentials: "omit",
      redirect: "manual",
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
    })
    if (response.type === "opaqueredirect") return true
    const type = response.headers.get("Content-Type") ?? ""
    return response.ok && type.startsWith("text/html")
  } catch {
    return false
  }
}
