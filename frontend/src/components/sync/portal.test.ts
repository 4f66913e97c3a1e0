import { afterEach, expect, test, vi } from "vitest"

import { isAnotherPage } from "./portal"

const still = () => new AbortController().signal
const answering = (response: Response | Error) =>
  vi.stubGlobal("fetch", () =>
    response instanceof Error ? Promise.reject(response) : Promise.resolve(response),
  )

afterEach(() => {
  vi.unstubAllGlobals()
})

test("a page in place of the sign of life is another page", async () => {
  answering(new Response("<html>Welcome to our Wi-Fi", { headers: { "Content-Type": "text/html" } }))
  expect(await isAnotherPage(still())).toBe(true)
})

test("the server itself is none", async () => {
  answering(Response.json({ status: "alive" }))
  expect(await isAnotherPage(still())).toBe(false)
})

test("a proxy without its server is none either", async () => {
  const page = { status: 502, headers: { "Content-Type": "text/html" } }
  answering(new Response("<html>Bad Gateway", page))
  expect(await isAnotherPage(still())).toBe(false)
})

test("no answer at all is none", async () => {
  answering(new TypeError("Failed to fetch"))
  expect(await isAnotherPage(still())).toBe(false)
})
