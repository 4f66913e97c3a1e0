// Deleting, with a way back.

import { t } from "../../i18n"

import { notify } from "../../notices"
import { useLedgerStore } from "../../stores/ledgerStore"
import { useTroubles } from "../../troubles"

interface Named {
  readonly id: string
  readonly name: string
}

export function useRemoving() {
  const ledger = useLedgerStore()
  const { attempt } = useTroubles()

  /** Whether it was deleted; the notice offers to undo it. */
  async function remove(
    { id, name }: Named,
    take: (id: string) => Promise<void>,
    bringBack: (id: string) => Promise<void>,
  ): Promise<boolean> {
    const isRemoved = await attempt(() => take(id))
    if (isRemoved) {
      notify(t("ledger.deleted", { name }), {
        action: {
          label: t("app.undo"),
          run: () => {
            void attempt(() => bringBack(id)).then((isBack) => {
              if (isBack) notify(t("ledger.restored", { name }))
            })
          },
        },
      })
    }
    return isRemoved
  }

  return {
    removeAccount: (row: Named) => remove(row, ledger.removeAccount, ledger.restoreAccount),
    removeGroup: (row: Named) => remove(row, ledger.removeGroup, ledger.restoreGroup),
  }
}
