// What the stores promise to the components. Nothing here does anything.
//
// Money is a decimal string ("-12.5"), never a number. Times are milliseconds since 1970 UTC.

import type { ChangeKind, EntityDescription, Json, RefusalCode, Role } from "../sync/core/messages"
import type { Phase } from "../sync/core/session"
import { SYNCED } from "../sync/entities"

export type { ChangeKind, EntityDescription, Json, Phase, RefusalCode, Role }

// --- how the sync stands -----------------------------------------------------------------------

/** Why nothing can be saved in this browser at the moment. */
export type StorageTrouble =
  | "full" // the disk or this site's share of it
  | "blocked" // the browser gives no storage (private mode, policy)
  | "gone" // the database was taken away under the running page: reload
  | "damaged" // it can be opened no more, or fails in a way we do not know

/** Why this device may not send, although the server answers. */
export type BlockedReason =
  | "viewer" // may read this household, not change it
  | "not_yours" // no member (any more), or the household is gone
  | "creation_limit" // too many new households today
  | "email_unverified" // confirm the e-mail address first

/**
 * The one line that is shown, the first that applies. count, left: changes of this device.
 *
 * update_needed: by "server" (this app is too old to sync) or by "tab" (a newer version of the
 * app runs in another tab: reload this one). waiting: sent, but the server is older than this
 * app and does not know something yet; sent again by itself. retryAtMs: by the page's own clock
 * (`performance.now()`): the wall clock may be set while somebody waits.
 */
export type SyncState =
  | { readonly kind: "cannot_save"; readonly reason: StorageTrouble }
  | { readonly kind: "update_needed"; readonly by: "server" | "tab" }
  | { readonly kind: "signed_out"; readonly count: number }
  | { readonly kind: "blocked"; readonly reason: BlockedReason; readonly count: number }
  | { readonly kind: "needs_you"; readonly count: number }
  | { readonly kind: "connecting"; readonly count: number }
  | { readonly kind: "unreachable"; readonly retryAtMs: number; readonly count: number }
  | { readonly kind: "offline_pending"; readonly count: number }
  | { readonly kind: "offline"; readonly asOfMs: number | null }
  | { readonly kind: "loading"; readonly percent: number | null }
  | { readonly kind: "syncing"; readonly left: number }
  | { readonly kind: "waiting"; readonly count: number }
  | { readonly kind: "up_to_date"; readonly checkedMs: number }

/**
 * isAmber: something has been pending for more than 30 s without progress. isSettled: false for
 * what may pass within a moment (connecting for 2 s, syncing for 0.5 s): no spinner, no other
 * text, nothing read aloud yet.
 */
export type SyncStatus = SyncState & { readonly isAmber: boolean; readonly isSettled: boolean }

/**
 * Whether the browser has promised not to delete by itself what is kept here. asking: not known
 * yet; unknown: it does not say.
 */
export type StoragePersistence = "asking" | "granted" | "refused" | "unknown"

/**
 * The browser has deleted what was kept here of a household (its name, "" if that is not known).
 *
 * pending: how many changes the server had not got when this device was last heard, and when that
 * was; null: the server has not said.
 */
export interface Evicted {
  readonly household: string
  readonly pending: number | null
  readonly heardMs: number | null
}

/** A change of this device that the server has not decided. label: the row's name. */
export interface PendingItem {
  readonly local: number
  readonly entity: string
  readonly rowId: string
  readonly label: string
  readonly kind: ChangeKind
  readonly fields: readonly string[]
  readonly madeMs: number
  /** waiting: not sent yet; sent: the answer is open; healing: on its way in a whole row. */
  readonly state: "waiting" | "sent" | "healing"
}

/** A change that the server does not know how to take yet; sent again when it learns. */
export interface ParkedItem {
  readonly local: number | null // null: a whole row, which cannot be discarded
  readonly entity: string
  readonly rowId: string
  readonly label: string
  readonly fields: readonly string[]
}

/** A change that the server could not accept. It stays until its person edits or discards it. */
export interface RefusedItem {
  readonly local: number
  readonly entity: string
  readonly rowId: string
  readonly label: string
  readonly kind: ChangeKind
  readonly code: string // a RefusalCode, or one that only a newer server knows
  readonly field: string // "" when the whole change is meant
  readonly message: string // the server's sentence, for codes that are not known here
  readonly value: Json // what was typed into `field`
  readonly fields: Readonly<Record<string, Json>> // all that the change writes
}

/**
 * A value of this person that was overruled by a newer one whose author had not seen it.
 *
 * field: "exists" for a deletion against an edit (true: is there, false: deleted). who: the
 * other's name, "" if he is this person on another device, null if nobody knows.
 */
export interface OverruledItem {
  readonly id: string
  readonly entity: string
  readonly rowId: string
  readonly label: string
  readonly field: string
  readonly mine: Json
  readonly theirs: Json
  readonly who: string | null
  readonly atMs: number
}

export interface DeviceItem {
  readonly id: string
  readonly name: string
  readonly user: string
  readonly isOnline: boolean
  readonly lastSyncMs: number | null
  readonly isThisOne: boolean
}

export type FailureReason =
  | "offline"
  | "unreachable"
  | "signed_out"
  | "update_needed"
  | "cannot_save"
  | "no_household"
  | "busy" // the server asked for patience
  | "no_answer"
  | BlockedReason

/** How a sync by hand came out. sent, received: changes and rows of this sync. */
export type SyncOutcome =
  | { readonly kind: "checked"; readonly sent: number; readonly received: number }
  | { readonly kind: "failed"; readonly reason: FailureReason }

// --- who and where -----------------------------------------------------------------------------

export interface User {
  readonly id: string
  readonly email: string
  readonly name: string
}

/**
 * A household of this person. status: "local" until a server has acknowledged one that was born
 * here. isHere: its data is kept on this device. pending: changes that are not sent yet.
 */
export interface Household {
  readonly id: string
  readonly name: string
  readonly role: Role
  readonly status: "local" | "provisioning" | "ready" | "maintenance"
  readonly isHere: boolean
  readonly pending: number
  readonly unshown?: Unshown | null
}

/**
 * How a household stands that this tab does not show, and that was looked into. oldestMs: when
 * the oldest change was made that only this device has, by its own clock; null: there is none.
 */
export interface Unshown {
  readonly oldestMs: number | null
  readonly status: SyncStatus
}

// --- the ledger --------------------------------------------------------------------------------

export const ACCOUNT_TYPES = SYNCED.account.fields.accountType.choices
export type AccountType = (typeof ACCOUNT_TYPES)[number]

/** What a person types. Amounts in canonical form: see `money.ts` for how people type them. */
export interface AccountGroupFields {
  readonly name: string
  readonly sortOrder: number
  readonly image: string // a data URL, "" for none
}

export interface AccountFields {
  readonly name: string
  readonly description: string
  readonly note: string
  readonly accountType: AccountType
  readonly isActive: boolean
  readonly isOfflineBudget: boolean
  readonly accountGroupId: string | null // of a missing or deleted group: shown as ungrouped
  readonly sortOrder: number
  readonly iban: string
  readonly balance: string
  readonly creditLimit: string
  readonly offset: string
  readonly image: string
}

/** isPending: something of it is not with the server yet. */
interface RowState {
  readonly id: string
  readonly isPending: boolean
}

export interface AccountGroup extends AccountGroupFields, RowState {}
export interface Account extends AccountFields, RowState {}

/** balance per group and in all, of active accounts; exact decimal strings. */
export interface Totals {
  readonly all: string
  readonly assets: string
  readonly debts: string
  readonly ungrouped: string
  readonly byGroup: Readonly<Record<string, string>>
}

/** The entities that people edit. */
export type LedgerEntity = "account" | "account_group"

/**
 * What a form was opened with: pass it to the edit, so that values which arrived meanwhile are
 * not overruled unseen.
 */
export type Shown = Readonly<Record<string, string>>

/** Why a form cannot be saved, by field. The codes are those of refusals. */
export type Problems = Readonly<Record<string, RefusalCode>>
