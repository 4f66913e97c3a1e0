// Groups and accounts out of rows.

import type { Row } from "../sync/core/change"
import { ACCOUNT_TYPES, type Account, type AccountGroup, type AccountType } from "../types"
import { type RowState, text, truth, whole } from "./rows"

export function groupOf(row: Row, state: RowState): AccountGroup {
  return {
    ...state,
    name: text(row, "name"),
    sortOrder: whole(row, "sortOrder"),
    image: text(row, "image"),
  }
}

export function accountOf(row: Row, state: RowState): Account {
  const type = text(row, "accountType")
  return {
    ...state,
    name: text(row, "name"),
    description: text(row, "description"),
    note: text(row, "note"),
    accountType: isAccountType(type) ? type : "sonstiges",
    isActive: truth(row, "isActive"),
    isOfflineBudget: truth(row, "isOfflineBudget"),
    accountGroupId: text(row, "accountGroupId") || null,
    sortOrder: whole(row, "sortOrder"),
    iban: text(row, "iban"),
    balance: text(row, "balance") || "0",
    creditLimit: text(row, "creditLimit") || "0",
    offset: text(row, "offset") || "0",
    image: text(row, "image"),
  }
}

function isAccountType(type: string): type is AccountType {
  return (ACCOUNT_TYPES as readonly string[]).includes(type)
}
