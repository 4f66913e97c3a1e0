// Ways out of the app, to the server's own pages.

import { t } from "../../i18n"
import { notify } from "../../notices"
import { SIGN_OF_LIFE } from "../sync/portal"

const PATIENCE_MS = 3_000

/** Go and sign in; the way back leads to where we are. */
export function goToSignIn(url: string): void {
  const target = new URL(url, location.href)
  target.searchParams.set("next", `/${location.hash}`)
  void goToServer(target.href)
}

/** For a link to a page of the server: as `goToServer`, unless it is for another tab. */
export function followToServer(event: MouseEvent): void {
  const link = event.currentTarget
  if (!(link instanceof HTMLAnchorElement)) return
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  void goToServer(link.href)
}

/** Go to a page of the server. Without one the browser would only show its own error: say so. */
export async function goToServer(url: string): Promise<void> {
  if (await isUnreachable()) notify(t("problem.offline"), { tone: "trouble" })
  else location.assign(url)
}

/** Whatever answers, and be it the sign-in of a Wi-Fi, is a page to go to; so may be one that is slow. */
async function isUnreachable(): Promise<boolean> {
  if (!navigator.onLine) return true
  try {
    await fetch(SIGN_OF_LIFE, {
      cache: "no-store",
      credentials: "omit",
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    return false
  } catch (error) {
    return !(error instanceof DOMException)
  }
}

export function reload(): void {
  location.reload()
}
