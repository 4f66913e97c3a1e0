// @vitest-environment jsdom
import { beforeAll, describe, expect, test } from "vitest"

import { STATUSES } from "../../fixtures/statuses"
import { type Language, speak } from "../../i18n"
import type { SyncStatus } from "../../types"
import { useWording } from "./wording"

const NOW_MS = Date.now()
const settled = { isAmber: false, isSettled: true } as const
const at = new Date().setHours(14, 32, 0, 0)

/** The table of the words, as people were promised it. */
const TABLE: readonly (readonly [SyncStatus, string, string])[] = [
  [
    { kind: "cannot_save", reason: "full", ...settled },
    "Not saved: storage is full",
    "Nicht gespeichert: Speicher voll",
  ],
  [
    { kind: "update_needed", by: "server", ...settled },
    "Update needed to sync",
    "Update nötig zum Synchronisieren",
  ],
  [
    { kind: "signed_out", count: 3, ...settled },
    "Sign in to sync – 3 changes are safe here",
    "Anmelden zum Synchronisieren – 3 Änderungen sind hier gesichert",
  ],
  [
    { kind: "signed_out", count: 1, ...settled },
    "Sign in to sync – 1 change is safe here",
    "Anmelden zum Synchronisieren – 1 Änderung ist hier gesichert",
  ],
  [
    { kind: "needs_you", count: 2, ...settled },
    "2 changes need you",
    "2 Änderungen brauchen dich",
  ],
  [{ kind: "needs_you", count: 1, ...settled }, "1 change needs you", "1 Änderung braucht dich"],
  [
    { kind: "unreachable", retryAtMs: NOW_MS + 20_000, count: 0, ...settled },
    "Server unreachable – trying again in 20 s",
    "Server nicht erreichbar – neuer Versuch in 20 s",
  ],
  [
    { kind: "offline_pending", count: 3, ...settled },
    "Offline – 3 changes saved on this device",
    "Offline – 3 Änderungen auf diesem Gerät gespeichert",
  ],
  [
    { kind: "offline_pending", count: 1, ...settled },
    "Offline – 1 change saved on this device",
    "Offline – 1 Änderung auf diesem Gerät gespeichert",
  ],
  [{ kind: "offline", asOfMs: at, ...settled }, "Offline – as of 14:32", "Offline – Stand 14:32 Uhr"],
  [
    { kind: "loading", percent: 62, ...settled },
    "Loading your data – 62 %",
    "Deine Daten werden geladen – 62 %",
  ],
  [{ kind: "syncing", left: 3, ...settled }, "Syncing – 3 left", "Synchronisiere – noch 3"],
  [{ kind: "up_to_date", checkedMs: NOW_MS, ...settled }, "Up to date", "Aktuell"],
]

describe.each<Language>(["en", "de"])("in %s", (language) => {
  beforeAll(() => speak(language))

  test.each(TABLE)("%j has the words that were promised", (status, english, german) => {
    const { text } = useWording().wordingOf(status, NOW_MS)
    expect(text).toBe(language === "en" ? english : german)
  })

  test.each(Object.entries(STATUSES))("%s has words, an icon and an explanation", (_name, status) => {
    const { wordingOf, explanationOf } = useWording()
    const { text, icon } = wordingOf(status, NOW_MS)
    expect(text).not.toMatch(/sync\.|\{|\|/)
    expect(icon).not.toBe("")
    expect(explanationOf(status)).toMatch(/[.!]$/)
  })
})

test("only up to date is green, and being offline is never red", () => {
  const { wordingOf } = useWording()
  for (const status of Object.values(STATUSES)) {
    const { tone } = wordingOf(status, NOW_MS)
    expect(tone === "good").toBe(status.kind === "up_to_date")
    expect(tone === "red").toBe(status.kind === "cannot_save")
  }
})

test("what does not get on turns amber, whatever it is", () => {
  const { wordingOf } = useWording()
  const stuck: SyncStatus = { kind: "syncing", left: 3, isAmber: true, isSettled: true }
  expect(wordingOf(stuck, NOW_MS).tone).toBe("amber")
})
