// Fields and their values as people know them.

import { hasMessage, t } from "../../i18n"

import { ibanInGroups, useFormat } from "../../format"
import { useLedgerStore } from "../../stores/ledgerStore"
import { ACCOUNT_TYPES, type Json } from "../../types"

const AMOUNTS: ReadonlySet<string> = new Set(["balance", "creditLimit", "offset"])

export function useValues() {
  const format = useFormat()
  const ledger = useLedgerStore()

  /** "Kontostand" for balance; the wire's own name for a field that only a newer app knows. */
  function fieldName(entity: string, field: string): string {
    const key = `${entity === "account_group" ? "group" : entity}.${field}`
    return hasMessage(key) ? t(key) : field
  }

  function shown(field: string, value: Json): string {
    if (field === "exists") return t(value === true ? "sync.panel.exists" : "sync.panel.gone")
    if (typeof value === "boolean") return t(value ? "sync.panel.yes" : "sync.panel.no")
    if (field === "accountGroupId") {
      if (typeof value !== "string") return t("account.no_group")
      return ledger.groupsById.get(value)?.name ?? t("account.no_group")
    }
    if (value === "" || value === null) return t("sync.panel.empty_value")
    if (typeof value === "number") return String(value)
    if (typeof value !== "string") return JSON.stringify(value)
    if (AMOUNTS.has(field)) return format.value.amount(value)
    if (field === "iban") return ibanInGroups(value)
    if (field === "image") return t("sync.panel.image_value")
    const type = ACCOUNT_TYPES.find((each) => field === "accountType" && each === value)
    return type === undefined ? value : t(`account.type.${type}`)
  }

  return { fieldName, shown }
}
