// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest"

import { speak, t } from "../../i18n"
import { dismissNotice, notices } from "../../notices"
import { goToServer } from "./leaving"

const assign = vi.fn()

beforeEach(async () => {
  await speak("de")
  // Files share what modules hold: others have told something, too.
  for (const { id } of notices.value) dismissNotice(id)
  vi.stubGlobal("location", { href: "https://finwise.example/", hash: "", assign })
})

afterEach(() => {
  vi.unstubAllGlobals()
  assign.mockClear()
})

test("without a server its pages are not gone to, and it is said", async () => {
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")))
  await goToServer("/accounts/login/")
  expect(assign).not.toHaveBeenCalled()
  expect(notices.value.map(({ text }) => text)).toEqual([t("problem.offline")])
})

test.each([
  ["answers", () => Promise.resolve(new Response("ok"))],
  ["answers as a proxy without a server", () => Promise.resolve(new Response("", { status: 502 }))],
  ["is slow", () => Promise.reject(new DOMException("slow", "TimeoutError"))],
])("a server that %s is gone to", async (_how, fetched) => {
  vi.stubGlobal("fetch", fetched)
  await goToServer("/accounts/login/")
  expect(assign).toHaveBeenCalledWith("/accounts/login/")
  expect(notices.value).toEqual([])
})
