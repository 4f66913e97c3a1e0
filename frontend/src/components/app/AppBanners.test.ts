// @vitest-environment jsdom
import { mount } from "@vue/test-utils"
import { createPinia } from "pinia"
import { beforeAll, expect, test } from "vitest"

import { speak } from "../../i18n"
import { useHouseholdStore } from "../../stores/householdStore"
import { useWebSocketStore } from "../../stores/webSocketStore"
import AppBanners from "./AppBanners.vue"

beforeAll(() => speak("en"))

/** The banners of an app that cannot save, with a household or without one. */
function banners(hasHousehold: boolean) {
  const pinia = createPinia()
  useWebSocketStore(pinia).status = {
    kind: "cannot_save",
    reason: "blocked",
    isAmber: false,
    isSettled: true,
  }
  const households = useHouseholdStore(pinia)
  if (hasHousehold) {
    households.households = [
      { id: "h", name: "Home", role: "owner", status: "ready", isHere: true, pending: 0 },
    ]
    households.currentId = "h"
  }
  return mount(AppBanners, { global: { plugins: [pinia] } })
}

test("details are offered only of a household that is open: without one there is no panel", () => {
  const words = (hasHousehold: boolean) => {
    const shown = banners(hasHousehold)
    const said = [shown.get("[role=alert]").text(), shown.findAll("button").length] as const
    shown.unmount()
    return said
  }
  expect(words(true)).toEqual([expect.stringContaining("Sync details"), 1])
  expect(words(false)).toEqual([expect.stringContaining("gives no storage"), 0])
})
