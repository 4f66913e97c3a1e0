import { defineStore } from "pinia"

import { type RowState, byName, text } from "../rows"
import { editsOf, rowsOf } from "../tables"

export interface PayeeFields {
  readonly name: string
  readonly website: string
}

export const usePayeeStore = defineStore("payee", () => ({
  payees: rowsOf<PayeeFields & RowState>(
    "payee",
    (row, state) => ({ ...state, name: text(row, "name"), website: text(row, "website") }),
    byName,
  ),
  ...editsOf<PayeeFields>("payee"),
}))
