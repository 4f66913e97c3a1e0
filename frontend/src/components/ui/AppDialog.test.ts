// @vitest-environment jsdom
import { mount } from "@vue/test-utils"
import { createPinia } from "pinia"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { nextTick } from "vue"

import { BUILT_IN } from "../../sync/entities"
import { speak } from "../../i18n"
import { notices } from "../../notices"
import { rescued } from "../../rescued"
import { useHouseholdStore } from "../../stores/householdStore"
import { useLedgerStore } from "../../stores/ledgerStore"
import RescuedDialog from "../app/RescuedDialog.vue"
import AccountForm from "../ledger/AccountForm.vue"

beforeEach(async () => {
  // The document of the tests has dialogs without these.
  HTMLDialogElement.prototype.showModal = () => undefined
  HTMLDialogElement.prototype.close = function () {
    this.dispatchEvent(new Event("close"))
  }
  await speak("en")
})

afterEach(() => {
  rescued.value = ""
  vi.unstubAllGlobals()
})

/** A new account, half typed. */
async function typing() {
  const pinia = createPinia()
  const households = useHouseholdStore(pinia)
  households.households = [
    { id: "h", name: "Home", role: "owner", status: "ready", isHere: true, pending: 0 },
  ]
  households.currentId = "h"
  useLedgerStore(pinia).entities = BUILT_IN
  const form = mount(AccountForm, {
    props: { id: null, group: null },
    global: { plugins: [pinia] },
    attachTo: document.body,
  })
  await form.get("[name=name]").setValue("Holiday fund")
  await form.get("[name=balance]").setValue("12.50")
  return form
}

test("what was typed is kept when the form goes with the household that it belongs to", async () => {
  const form = await typing()
  form.unmount()
  expect(rescued.value).toContain("Holiday fund")
  expect(rescued.value).toContain("12.50")

  const writeText = vi.fn(() => Promise.resolve())
  vi.stubGlobal("navigator", { clipboard: { writeText } })
  const dialog = mount(RescuedDialog, { attachTo: document.body })
  expect(dialog.get("textarea").element.value).toContain("Holiday fund")
  const typed = rescued.value
  await dialog.get("footer button").trigger("click")
  await vi.waitFor(() => {
    expect(writeText).toHaveBeenCalledExactlyOnceWith(typed)
    expect(rescued.value).toBe("")
  })
  expect(notices.value.at(-1)?.text).toBe("Copied")
  dialog.unmount()
})

test("what its person closes, or has not touched, is not kept", async () => {
  const form = await typing()
  await form.get("header button").trigger("click")
  await form.get("[role=alert] .btn-warning").trigger("click")
  form.unmount()
  expect(rescued.value).toBe("")

  const again = await typing()
  await again.get("[name=name]").setValue("")
  await again.get("[name=balance]").setValue("")
  await nextTick()
  again.unmount()
  expect(rescued.value).toBe("")
})
