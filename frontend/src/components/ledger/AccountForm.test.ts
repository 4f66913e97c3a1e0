// @vitest-environment jsdom
import { mount, type VueWrapper } from "@vue/test-utils"
import { createPinia } from "pinia"
import { afterEach, beforeEach, expect, test, vi } from "vitest"

import { ACCOUNTS, GROUPS } from "../../fixtures/sample"
import { speak } from "../../i18n"
import { provideServices, type Services } from "../../services/ports"
import { useHouseholdStore } from "../../stores/householdStore"
import { useLedgerStore } from "../../stores/ledgerStore"
import { BUILT_IN } from "../../sync/entities"
import AccountForm from "./AccountForm.vue"
import GroupForm from "./GroupForm.vue"

const SHOWN = { name: "a stamp" }

const edit = vi.fn(() => Promise.resolve(true))
let form: VueWrapper
let ledger: ReturnType<typeof useLedgerStore>

beforeEach(async () => {
  // The document of the tests has dialogs without these.
  HTMLDialogElement.prototype.showModal = () => undefined
  HTMLDialogElement.prototype.close = () => undefined
  edit.mockClear()
  await speak("en")
  provideServices({ edits: { edit, shownOf: () => SHOWN } } as unknown as Services)
})

afterEach(() => {
  form.unmount()
  provideServices(null)
})

/** A form of the first account or group of the household. */
function open(component: typeof AccountForm): string {
  const pinia = createPinia()
  const households = useHouseholdStore(pinia)
  households.households = [
    { id: "h", name: "Home", role: "owner", status: "ready", isHere: true, pending: 0 },
  ]
  households.currentId = "h"
  ledger = useLedgerStore(pinia)
  ledger.entities = BUILT_IN
  ledger.groups = GROUPS
  ledger.accounts = ACCOUNTS
  const id = (component === GroupForm ? GROUPS : ACCOUNTS)[0]?.id ?? ""
  form = mount(component, {
    props: { id, group: null },
    global: { plugins: [pinia] },
  })
  return id
}

const save = async () => {
  await form.get("form").trigger("submit")
  await vi.waitFor(() => { expect(edit).toHaveBeenCalled() })
}

test("what arrives while a form is open is not overruled by what nobody has typed: D01", async () => {
  const id = open(AccountForm)
  ledger.accounts = ACCOUNTS.map((each) => ({ ...each, balance: "999", note: "from elsewhere" }))
  await form.get("[name=name]").setValue("Renamed")
  await save()
  expect(edit).toHaveBeenCalledExactlyOnceWith("account", id, { name: "Renamed" }, SHOWN)
})

test("a form that is saved as it was opened changes nothing: D13", async () => {
  for (const component of [AccountForm, GroupForm]) {
    edit.mockClear()
    const id = open(component)
    await save()
    const entity = component === GroupForm ? "account_group" : "account"
    expect(edit).toHaveBeenCalledExactlyOnceWith(entity, id, {}, SHOWN)
    form.unmount()
  }
})

test("an amount that is typed another way is the same amount, and one that is another is sent", async () => {
  const id = open(AccountForm)
  const balance = ACCOUNTS[0]?.balance ?? ""
  await form.get("[name=balance]").setValue(`${balance}0`)
  await form.get("[name=creditLimit]").setValue("1,500.50")
  await save()
  expect(edit).toHaveBeenCalledExactlyOnceWith("account", id, { creditLimit: "1500.5" }, SHOWN)
})
