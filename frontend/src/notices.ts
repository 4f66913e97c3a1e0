// What is said in passing: notices that one can answer, and words for screen readers only.

import { readonly, ref, shallowRef } from "vue"

export interface Notice {
  readonly id: number
  readonly text: string
  readonly tone: "plain" | "trouble"
  readonly action: { readonly label: string; readonly run: () => void } | null
}

const SHOWN_MS = 6_000
const SHOWN_WITH_ACTION_MS = 12_000

const shown = shallowRef<readonly Notice[]>([])
const spoken = ref("")
let last = 0

export const notices = readonly(shown)
/** Read out politely; not seen. */
export const announcement = readonly(spoken)

export function notify(
  text: string,
  { tone = "plain", action = null }: Partial<Pick<Notice, "tone" | "action">> = {},
): void {
  const notice: Notice = { id: ++last, text, tone, action }
  // Three at once are enough for a phone; the oldest goes.
  shown.value = [...shown.value.slice(-2), notice]
  // Trouble stays until somebody has read it.
  if (tone === "plain") hold(notice)
}

export function dismissNotice(id: number): void {
  shown.value = shown.value.filter((notice) => notice.id !== id)
}

/** Say it to screen readers, also if it was said just before. */
export function announce(text: string): void {
  spoken.value = ""
  setTimeout(() => {
    spoken.value = text
  }, 50)
}

let isHeld = false

/** While a pointer or the focus is on the notices, none of them goes. */
export function holdNotices(hold: boolean): void {
  isHeld = hold
}

function hold(notice: Notice): void {
  const wait = notice.action === null ? SHOWN_MS : SHOWN_WITH_ACTION_MS
  const end = () => {
    if (isHeld) setTimeout(end, 2_000)
    else dismissNotice(notice.id)
  }
  setTimeout(end, wait)
}

/** The dialog that is open: everything outside it can neither be clicked nor is it read out. */
export const noticeHome = shallowRef<HTMLElement | null>(null)
