// Ways out of the app, to the server's own pages.

/** Go and sign in; the way back leads to where we are. */
export function goToSignIn(url: string): void {
  const target = new URL(url, location.href)
  target.searchParams.set("next", `/${location.hash}`)
  location.assign(target)
}

export function reload(): void {
  location.reload()
}
