import * as fc from "fast-check"
import { createPinia, setActivePinia } from "pinia"
import { afterEach, expect, test } from "vitest"

import type { ShownRow, ViewChange } from "../services/data/view"
import type { Row } from "../sync/core/change"
import { fromUnits, toUnits } from "../sync/money"
import { useLedgerStore } from "./ledgerStore"
import { followTables } from "./tables"

const GROUPS = ["a", "b", "c"]

const accounts = fc.uniqueArray(
  fc.record({
    id: fc.uuid(),
    accountGroupId: fc.constantFrom(...GROUPS, "gone", "", null),
    balance: fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }).map(fromUnits),
    isActive: fc.boolean(),
  }),
  { selector: ({ id }) => id },
)

afterEach(() => followTables(null))

function shown(entity: string, rows: readonly { readonly id: string }[]): ViewChange {
  const all = rows.map(({ id, ...fields }): [string, ShownRow] => {
    const row: Row = { entity, id, fields, stamps: {} }
    return [id, { row, isPending: false }]
  })
  return { rows: new Map(all), changed: "all" }
}

const sum = (balances: readonly string[]) =>
  fromUnits(balances.map(toUnits).reduce((a, b) => a + b, 0n))

test("every account shows under one group, and every active one counts in its sum and in all", async () => {
  await fc.assert(
    fc.asyncProperty(fc.subarray(GROUPS), accounts, async (known, all) => {
      setActivePinia(createPinia())
      const ledger = useLedgerStore()
      const rows: Record<string, readonly { readonly id: string }[]> = {
        account_group: known.map((id) => ({ id, name: id })),
        account: all,
      }
      await followTables((entity, listener) => {
        listener(shown(entity, rows[entity] ?? [])) // other tests of this thread have added tables
        return Promise.resolve()
      })
      const under = (group: string | null) =>
        all.filter(({ accountGroupId: of }) =>
          group === null ? of === null || !known.includes(of) : of === group,
        )
      for (const group of [...known, null]) {
        const ids = ledger.accountsOf(group).map(({ id }) => id)
        expect(ids.sort()).toEqual(under(group).map(({ id }) => id).sort())
        const told = group === null ? ledger.totals.ungrouped : ledger.totals.byGroup[group]
        expect(told).toBe(sum(active(under(group))))
      }
      const balances = active(all)
      expect(ledger.totals.all).toBe(sum(balances))
      expect(ledger.totals.debts).toBe(sum(balances.filter((each) => each.startsWith("-"))))
      expect(ledger.totals.assets).toBe(sum(balances.filter((each) => !each.startsWith("-"))))
    }),
  )
})

function active(
  rows: readonly { readonly isActive: boolean; readonly balance: string }[],
): readonly string[] {
  return rows.filter(({ isActive }) => isActive).map(({ balance }) => balance)
}
