// What can go wrong, as one family.
//
// What happens to a *change* is a result: `Refused` is how a rule says no to one value. What
// breaks the *conversation* arrives as an `error` frame, or is a BadFrame of ours. The codes,
// and what each means, are in messages.ts.

import { ERRORS, type ErrorCode, REFUSAL_CODES, type RefusalCode } from "./messages"

/** The server has said something that is not part of the protocol. Nothing was changed. */
export class BadFrame extends Error {
  override readonly name = "BadFrame"
  readonly code = "bad_frame" satisfies ErrorCode
}

/**
 * One change, or one value, that cannot be accepted.
 *
 * The sentence for a person is made from the code, in his language, where it is shown. field:
 * the wire name, or null when the whole change is meant.
 */
export interface Refused {
  readonly code: RefusalCode
  readonly field: string | null
}

/** Something that was checked: what it came to, or why not. */
export type Checked<Value> =
  { readonly refused: null; readonly value: Value } | { readonly refused: Refused }

export function accepted<Value>(value: Value): Checked<Value> {
  return { refused: null, value }
}

export function refused(code: RefusalCode, field: string | null = null): Checked<never> {
  return { refused: { code, field } }
}

/** Whether this version knows the code of an `error` frame. A newer server may say others. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code)
}

/** Whether this version knows the code of a refusal. A newer server may say others. */
export function isRefusalCode(code: string): code is RefusalCode {
  return (REFUSAL_CODES as readonly string[]).includes(code)
}
