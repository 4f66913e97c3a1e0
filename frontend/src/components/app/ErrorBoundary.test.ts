// @vitest-environment jsdom
import { mount } from "@vue/test-utils"
import { beforeAll, expect, test, vi } from "vitest"
import { defineComponent, h } from "vue"

import { speak } from "../../i18n"
import ErrorBoundary from "./ErrorBoundary.vue"

beforeAll(() => speak("de"))

test("a component that fails says what is safe and what to do, and can be tried again", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined)
  let isBroken = true
  const Fragile = defineComponent(() => () => {
    if (isBroken) throw new Error("a bug of ours")
    return h("p", "Girokonto")
  })
  const page = mount(ErrorBoundary, { slots: { default: () => h(Fragile) } })
  await vi.waitFor(() => {
    expect(page.find("[role=alert]").exists()).toBe(true)
  })
  expect(page.text()).toContain("weiter auf diesem Gerät")
  isBroken = false
  await page.get("button").trigger("click")
  expect(page.text()).toBe("Girokonto")
})
