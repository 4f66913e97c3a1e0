// What a person at the browser has to hear: a code that i18n puts into words. Nothing was half
// done.

/** Why an edit was not made. The code of a rule (RefusalCode), or one of these. */
export type TroubleCode =
  | "row_missing" // there is no such row on this device, or it is deleted
  | "row_exists"
  | "forbidden" // this person may read the household, but not change it
  | "no_household"
  | "storage_full"
  | "storage_blocked"
  | "storage_gone"
  | "storage_damaged"
  | "newer_tab" // a newer version of the app has taken over the database: reload
  | "offline" // this needs the server, which cannot be reached
  | "signed_out"
  | "failed" // the server would not; the message says why

/** Something that could not be done. field: its wire name, "" when all of it is meant. */
export class Trouble extends Error {
  override readonly name = "Trouble"

  constructor(
    readonly code: string,
    readonly field = "",
    message = code,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export function trouble(code: TroubleCode, message?: string, cause?: unknown): Trouble {
  return new Trouble(code, "", message, cause === undefined ? undefined : { cause })
}
