// Where the focus goes when what had it is taken away: near by, and not to the top of the page,
// where whoever works by keys or listens would have to begin again.

/** What comes and goes; after it the focus is where it was before. */
const PASSING = "[role=alert], [role=status]"
const PRESSED = "a, button, input, select, textarea"

/** What has or had the focus, and all that it is in, from the inside out. */
let path: readonly Element[] = []

let observer: MutationObserver | null = null

function pathOf(target: Element): readonly Element[] {
  const all: Element[] = []
  for (let at: Element | null = target; at !== null; at = at.parentElement) all.push(at)
  const passing = target.closest(PASSING)
  if (passing === null) return all
  const before = path.filter((each) => !passing.contains(each))
  return [...all.slice(0, all.indexOf(passing)), ...before]
}

/** null: it is nowhere, on purpose. */
function follow(target: Element | null): void {
  observer?.disconnect()
  path = target === null ? [] : pathOf(target)
  // Not the whole page below them: a list of thousands of rows is built without a look at each.
  for (let at = target?.parentElement; at; at = at.parentElement) {
    observer?.observe(at, { childList: true })
  }
}

/** Give the focus to the first of these that is still there; else to the content. */
function focusNear(elements: readonly Element[]): void {
  const left = elements.find((each) => each.isConnected && !each.contains(document.body))
  const near = left === undefined || left.id === "app" ? document.getElementById("content") : left
  if (!(near instanceof HTMLElement)) return
  if (near.tabIndex < 0) near.tabIndex = -1
  near.focus({ preventScroll: true })
}

/** Call once. */
export function keepFocus(): void {
  observer = new MutationObserver(() => {
    if (document.activeElement === document.body) focusNear(path)
  })
  addEventListener("focusin", ({ target }) => {
    if (target instanceof Element) follow(target)
  })
  // A click somewhere else takes the focus away on purpose.
  addEventListener(
    "pointerdown",
    ({ target }) => {
      follow(target instanceof Element ? target.closest(PRESSED) : null)
    },
    true,
  )
}

/**
 * Remember where the focus is. The answer brings it back there when `closed` has closed, if it is
 * nowhere else by then.
 */
export function rememberFocus(): (closed: Element | null) => void {
  const remembered = path
  return (closed) => {
    const now = document.activeElement
    // A browser may be late to notice that what it shows no more cannot have the focus.
    if (now === document.body || closed?.contains(now) === true) focusNear(remembered)
  }
}
