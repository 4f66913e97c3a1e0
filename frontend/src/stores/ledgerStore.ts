// Groups and accounts as their person sees them: the base with the outbox laid over it.

import { defineStore } from "pinia"
import { computed, ref, shallowRef } from "vue"

import { services } from "../services/ports"
import { fromUnits, toUnits } from "../sync/money"
import { placed } from "../sync/order"
import type {
  Account,
  AccountFields,
  AccountGroup,
  AccountGroupFields,
  EntityDescription,
  Json,
  LedgerEntity,
  Problems,
  Shown,
  Totals,
} from "../types"
import { problemsOf } from "../sync/problems"
import { accountOf, groupOf } from "./ledgerRows"
import { byOrder } from "./rows"
import { rowsOf } from "./tables"

type Values = Readonly<Record<string, Json>>

export const useLedgerStore = defineStore("ledger", () => {
  /** False until the first data of this household is on this device. */
  const isLoaded = ref(false)
  /** Sorted by sortOrder, then name. */
  const groups = rowsOf<AccountGroup>("account_group", groupOf, byOrder)
  /** All of them, sorted by sortOrder, then name. */
  const accounts = rowsOf<Account>("account", accountOf, byOrder)
  const entities = shallowRef<Readonly<Record<string, EntityDescription>>>({})

  const groupsById = computed(() => new Map(groups.value.map((group) => [group.id, group])))
  const accountsById = computed(
    () => new Map(accounts.value.map((account) => [account.id, account])),
  )

  /** Accounts by the group that they show under; "" for those without one. */
  const accountsByGroup = computed(() => {
    const known = groupsById.value // asked for once, not for each of thousands
    const found = new Map<string, Account[]>()
    for (const account of accounts.value) {
      const id = known.has(account.accountGroupId ?? "") ? (account.accountGroupId ?? "") : ""
      const list = found.get(id)
      if (list === undefined) found.set(id, [account])
      else list.push(account)
    }
    return found
  })

  const totals = computed<Totals>(() => {
    let [assets, debts] = [0n, 0n]
    const byGroup: Record<string, string> = {}
    const sumOf = (id: string): string => {
      let sum = 0n
      for (const account of accountsByGroup.value.get(id) ?? []) {
        if (!account.isActive) continue
        const balance = balanceOf(account)
        if (balance < 0n) debts += balance
        else assets += balance
        sum += balance
      }
      return fromUnits(sum)
    }
    const ungrouped = sumOf("")
    for (const { id } of groups.value) byGroup[id] = sumOf(id)
    return {
      all: fromUnits(assets + debts),
      assets: fromUnits(assets),
      debts: fromUnits(debts),
      ungrouped,
      byGroup,
    }
  })

  /** The group that an account shows under: null also if its group is missing or deleted. */
  function shownGroup(account: Account): string | null {
    const { accountGroupId } = account
    return accountGroupId !== null && groupsById.value.has(accountGroupId) ? accountGroupId : null
  }

  function accountsOf(groupId: string | null): readonly Account[] {
    return accountsByGroup.value.get(groupId ?? "") ?? []
  }

  /** Move a group in front of another one; null: to the end. */
  async function moveGroup(id: string, beforeId: string | null): Promise<void> {
    const orders = placed(groups.value, id, beforeId)
    const edits = [...orders].map(([each, sortOrder]) => [each, { sortOrder }] as const)
    await services().edits.editMany("account_group", new Map(edits))
  }

  /** Move an account into a group (null: out of its group), in front of another one. */
  async function moveAccount(
    id: string,
    groupId: string | null,
    beforeId: string | null,
  ): Promise<void> {
    const account = accountsById.value.get(id)
    const list = accountsOf(groupId).filter((each) => each.id !== id)
    const orders = placed(account === undefined ? list : [...list, account], id, beforeId)
    const edits = new Map<string, Values>()
    for (const [each, sortOrder] of orders) edits.set(each, { sortOrder })
    if (account !== undefined && shownGroup(account) !== groupId) {
      edits.set(id, { ...edits.get(id), accountGroupId: groupId })
    }
    await services().edits.editMany("account", edits)
  }

  const create = (entity: LedgerEntity, fields: object) =>
    services().edits.create(entity, { ...fields })
  const edit = (entity: LedgerEntity, id: string, fields: object, shown?: Shown) =>
    services().edits.edit(entity, id, { ...fields }, shown)

  return {
    isLoaded,
    groups,
    accounts,
    entities,
    groupsById,
    accountsById,
    totals,
    accountsOf,
    shownGroup,
    moveGroup,
    moveAccount,
    /** What is wrong with these fields, before they are saved. isCreate: all must be there. */
    problemsOf: (
      entity: LedgerEntity,
      fields: Partial<AccountFields> | Partial<AccountGroupFields>,
      { isCreate = false } = {},
    ): Problems => problemsOf(entities.value[entity], { ...fields }, isCreate),
    /** Take it when a form is opened, and pass it to the edit. */
    shownOf: (entity: LedgerEntity, id: string): Shown => services().edits.shownOf(entity, id),
    /** Returns the new row's id. Absent fields get their defaults; it goes to the end. */
    createGroup: (fields: Partial<AccountGroupFields>) =>
      create("account_group", { sortOrder: nextOrder(groups.value), ...fields }),
    createAccount: (fields: Partial<AccountFields>) =>
      create("account", {
        sortOrder: nextOrder(accountsOf(fields.accountGroupId ?? null)),
        ...fields,
      }),
    /** Only what differs is written. shown: what the form was opened with (`shownOf`). */
    editGroup: (id: string, fields: Partial<AccountGroupFields>, shown?: Shown) =>
      edit("account_group", id, fields, shown),
    editAccount: (id: string, fields: Partial<AccountFields>, shown?: Shown) =>
      edit("account", id, fields, shown),
    /** Accounts of a removed group stay, ungrouped; they are back in it when it is restored. */
    removeGroup: (id: string) => services().edits.remove("account_group", id),
    removeAccount: (id: string) => services().edits.remove("account", id),
    restoreGroup: (id: string) => services().edits.restore("account_group", id),
    restoreAccount: (id: string) => services().edits.restore("account", id),
  }
})

/** Read once for each account as it stands: a ledger of thousands is added up at every change. */
const balances = new WeakMap<Account, bigint>()

function balanceOf(account: Account): bigint {
  const known = balances.get(account)
  if (known !== undefined) return known
  const units = toUnits(account.balance)
  balances.set(account, units)
  return units
}

const STEP = 1024

function nextOrder(rows: readonly { readonly sortOrder: number }[]): number {
  const last = rows.at(-1)
  return last === undefined ? 0 : Math.min(last.sortOrder + STEP, 2 ** 31 - 1)
}
