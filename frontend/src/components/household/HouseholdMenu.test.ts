// @vitest-environment jsdom
import { mount } from "@vue/test-utils"
import { createPinia } from "pinia"
import { expect, test } from "vitest"

import { speak } from "../../i18n"
import { useHouseholdStore } from "../../stores/householdStore"
import type { SyncStatus } from "../../types"
import HouseholdMenu from "./HouseholdMenu.vue"

test("what waits for its person in a household that is not shown is told beside its name", async () => {
  await speak("en")
  const pinia = createPinia()
  const households = useHouseholdStore(pinia)
  const status: SyncStatus = { kind: "needs_you", count: 2, isAmber: false, isSettled: true }
  const common = { role: "owner", status: "ready", isHere: true, pending: 0 } as const
  households.households = [
    { ...common, id: "club", name: "Club", unshown: { oldestMs: 1, status } },
    { ...common, id: "home", name: "Home", unshown: null },
  ]
  households.currentId = "home"
  const menu = mount(HouseholdMenu, { global: { plugins: [pinia] } })
  const rows = menu.findAll("li").map((row) => row.text())
  expect(rows[0]).toContain("2 changes need you")
  expect(rows[1]).not.toContain("need you")
})
