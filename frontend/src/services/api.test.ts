import { afterEach, expect, test, vi } from "vitest"

import { getSession } from "./api"

afterEach(() => {
  vi.unstubAllGlobals()
})

const JSON_TYPE = { "Content-Type": "application/json" }

test.each([
  ["null with an error", "null", 500, JSON_TYPE, "failed"],
  ["a sentence with an error", '"sorry"', 500, JSON_TYPE, "failed"],
  ["null", "null", 200, JSON_TYPE, "offline"],
  ["a list", "[]", 200, JSON_TYPE, "offline"],
  ["half an answer", '{"user": nu', 200, JSON_TYPE, "offline"],
  ["a proxy's page", "<h1>Bad gateway</h1>", 502, { "Content-Type": "text/html" }, "offline"],
  ["a Wi-Fi's page", "<h1>Welcome</h1>", 200, { "Content-Type": "text/html" }, "offline"],
])("%s is trouble that has a name", async (_what, body, status, headers, code) => {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(body, { status, headers })))
  await expect(getSession()).rejects.toMatchObject({ name: "Trouble", code })
})
