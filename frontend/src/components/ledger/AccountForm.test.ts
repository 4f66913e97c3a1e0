// @vitest-environment jsdom
import { flushPromises, mount, type VueWrapper } from "@vue/test-utils"
import { createPinia } from "pinia"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { nextTick } from "vue"

import { ACCOUNTS, GROUPS } from "../../fixtures/sample"
import { speak } from "../../i18n"
import { provideServices, type Services } from "../../services/ports"
import { useHouseholdStore } from "../../stores/householdStore"
import { useLedgerStore } from "../../stores/ledgerStore"
import { BUILT_IN } from "../../sync/entities"
import AccountForm from "./AccountForm.vue"
import GroupForm from "./GroupForm.vue"

const SHOWN = { name: "a stamp" }
const ACCOUNT = ACCOUNTS[0]?.id ?? ""
const GROUP = GROUPS[0]?.id ?? ""

const edit = vi.fn(() => Promise.resolve(true))
const restore = vi.fn(() => Promise.resolve())
let form: VueWrapper
let ledger: ReturnType<typeof useLedgerStore>

beforeEach(async () => {
  // The document of the tests has dialogs without these.
  HTMLDialogElement.prototype.showModal = () => undefined
  HTMLDialogElement.prototype.close = () => undefined
  edit.mockClear()
  restore.mockClear()
  await speak("en")
  provideServices({ edits: { edit, restore, shownOf: () => SHOWN } } as unknown as Services)
})

afterEach(() => {
  form.unmount()
  provideServices(null)
})

/** The household that forms are opened in. */
function pinia() {
  const made = createPinia()
  const households = useHouseholdStore(made)
  households.households = [
    { id: "h", name: "Home", role: "owner", status: "ready", isHere: true, pending: 0 },
  ]
  households.currentId = "h"
  ledger = useLedgerStore(made)
  ledger.entities = BUILT_IN
  ledger.groups = GROUPS
  ledger.accounts = ACCOUNTS
  return made
}

function openAccount(): void {
  form = mount(AccountForm, {
    props: { id: ACCOUNT, group: null },
    global: { plugins: [pinia()] },
  })
}

function openGroup(): void {
  form = mount(GroupForm, { props: { id: GROUP }, global: { plugins: [pinia()] } })
}

const save = async () => {
  await form.get("form").trigger("submit")
  await vi.waitFor(() => { expect(edit).toHaveBeenCalled() })
}

test("what arrives while a form is open is not overruled by what nobody has typed: D01", async () => {
  openAccount()
  ledger.accounts = ACCOUNTS.map((each) => ({ ...each, balance: "999", note: "from elsewhere" }))
  await form.get("[name=name]").setValue("Renamed")
  await save()
  expect(edit).toHaveBeenCalledExactlyOnceWith("account", ACCOUNT, { name: "Renamed" }, SHOWN)
})

test("a group that comes or goes while a form is open is neither chosen nor left by that", async () => {
  openAccount()
  const group = form.get<HTMLSelectElement>("#account-group")
  const chosen = () => group.element.selectedOptions[0]?.text
  expect(chosen()).toBe("Bank")
  ledger.groups = []
  await nextTick()
  expect(chosen()).toBe("Ungrouped")
  ledger.groups = [...GROUPS, { ...GROUPS[1], id: "new", name: "Arrived" }] as typeof GROUPS
  await nextTick()
  expect(chosen()).toBe("Bank")
  expect(group.findAll("option").map((each) => each.text())).toContain("Arrived")
  await form.get("[name=name]").setValue("Renamed")
  await save()
  expect(edit).toHaveBeenCalledExactlyOnceWith("account", ACCOUNT, { name: "Renamed" }, SHOWN)
})

test("an account that is deleted while its form is open comes back with what was typed", async () => {
  openAccount()
  await form.get("[name=name]").setValue("Half ty")
  ledger.accounts = ACCOUNTS.slice(1)
  await nextTick()
  expect(form.get("[role=status]").text()).toContain("What you typed is still there then.")
  expect(form.find("[type=submit]").exists()).toBe(false)
  await form.get("[role=status] button").trigger("click")
  expect(restore).toHaveBeenCalledExactlyOnceWith("account", ACCOUNT)
  ledger.accounts = ACCOUNTS
  await flushPromises()
  expect(form.get<HTMLInputElement>("[name=name]").element.value).toBe("Half ty")
  await save()
  expect(edit).toHaveBeenCalledExactlyOnceWith("account", ACCOUNT, { name: "Half ty" }, SHOWN)
})

test("a form that is saved as it was opened changes nothing: D13", async () => {
  openAccount()
  await save()
  expect(edit).toHaveBeenCalledExactlyOnceWith("account", ACCOUNT, {}, SHOWN)
  form.unmount()
  edit.mockClear()
  openGroup()
  await save()
  expect(edit).toHaveBeenCalledExactlyOnceWith("account_group", GROUP, {}, SHOWN)
})

test("an amount that is typed another way is the same amount, and one that is another is sent", async () => {
  openAccount()
  const balance = ACCOUNTS[0]?.balance ?? ""
  await form.get("[name=balance]").setValue(`${balance}0`)
  await form.get("[name=creditLimit]").setValue("1,500.50")
  await save()
  const changed = { creditLimit: "1500.5" }
  expect(edit).toHaveBeenCalledExactlyOnceWith("account", ACCOUNT, changed, SHOWN)
})

test("a text may have as many characters as the server counts, and is told by how much it is too long", async () => {
  openAccount()
  const name = form.get<HTMLInputElement>("[name=name]")
  const problem = () => form.find(".field-error").text()
  await name.setValue("\u{1f600}".repeat(121))
  await form.get("form").trigger("submit")
  expect(problem()).toBe("This is too long: 121 characters, at most 120.")
  await name.setValue("\u{1f600}".repeat(122))
  expect(problem()).toContain("122 characters")
  expect(edit).not.toHaveBeenCalled()
  await name.setValue("\u{1f600}".repeat(120))
  expect(form.find(".field-error").exists()).toBe(false)
  await save()
  expect(edit.mock.calls).toEqual([["account", ACCOUNT, { name: "\u{1f600}".repeat(120) }, SHOWN]])
})
