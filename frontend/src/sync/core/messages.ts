// Generated from syncapp/core/messages.py by `manage.py generate_protocol`. Do not edit.
//
// The wire: every frame of protocol version 1. A key with "?" may be absent and then means
// what its comment says. A device ignores keys and error codes that it does not know.

// --- Limits ----------------------------------------------------------------------------------

export const PROTOCOL = "finwise.sync.v1"
export const FRAME_MAX_BYTES = 1048576
export const BATCH_MAX_ROWS = 500
export const BATCH_MAX_BYTES = 524288
export const NESTING_MAX = 8
export const HEARTBEAT_S = 20
export const HELLO_TIMEOUT_S = 10
export const FRAMES_PER_SECOND = 50
export const FRAMES_BURST = 200
export const NUMBER_MAX = 9007199254740991
export const ROW_MAX_BYTES = 262144

// --- Values ----------------------------------------------------------------------------------

/** What JSON holds. Known fields hold scalars; what a newer server says may be more. */
export type Json = Scalar | readonly Json[] | { readonly [key: string]: Json }
export type Scalar = string | number | boolean | null
/** At most 36 characters: ^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$ */
export type Uuid = string
/** At most 34 characters: ^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$ */
export type StampText = string
/** At most 34 characters: ^(?![\s\S])|^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$ */
export type SeenStamp = string
/** At most 16 characters: ^[0-9a-f]{16}$ */
export type NodeText = string
/** 1 to 40 characters: ^(?![\s\S]*[\x00-\x1f\x7f]) */
export type Name = string
/** At most 120 characters: ^(?![\s\S]*[\x00-\x1f\x7f]) */
export type Label = string
/** 1 to 120 characters: ^(?![\s\S]*[\x00-\x1f\x7f]) */
export type HouseholdName = string
/** At most 240 characters */
export type CursorText = string
/** At most 40 characters */
export type AnchorText = string
export type ChangeKind = "create" | "edit" | "delete"
export type ResetReason = "horizon" | "restored" | "operator"
export type Role = "owner" | "editor" | "viewer"
export type Fate = "applied" | "superseded" | "refused" | "settled"

// --- Parts of frames -------------------------------------------------------------------------

/**
 * One edit of one row by one device.
 *
 * seen: for each field (and `exists`) the stamp its author was shown; absent or "" = none.
 */
export interface Change {
  readonly number: number
  readonly entity: Name
  readonly id: Uuid
  readonly kind: ChangeKind
  readonly stamp: StampText
  readonly fields?: Readonly<Record<string, Json>> // absent: {}
  readonly seen?: Readonly<Record<string, SeenStamp>> // absent: {}
}

/** A whole row. `stamp` is the stamp of each field that `stamps` does not name. */
export interface WireRow {
  readonly entity: Name
  readonly id: Uuid
  readonly fields: Readonly<Record<string, Json>>
  readonly stamp: StampText
  readonly stamps?: Readonly<Record<string, StampText>> // absent: {}
}

/** A household born on this device that no server has acknowledged yet. */
export interface Household {
  readonly name: HouseholdName
}

/** What the server takes at once. A push or a page ends at the rows or the bytes. */
export interface Limits {
  readonly frameBytes?: number // absent: 1048576
  readonly batchRows?: number // absent: 500
  readonly batchBytes?: number // absent: 524288
  readonly rowBytes?: number // absent: 262144
  readonly heartbeatMs?: number // absent: 20000
}

/**
 * The fate of one change.
 *
 * stamp: the effective one, if the server re-stamped. lost: fields overruled by newer ones.
 * unknown: fields the server does not know yet. horizon: with `row_missing`, the newest delete
 * that was compacted; a change newer than it may come back as `rows`.
 */
export interface Result {
  readonly number: number
  readonly fate: Fate
  readonly stamp?: string // absent: ""
  readonly lost?: readonly string[] // absent: []
  readonly unknown?: readonly string[] // absent: []
  readonly code?: string // absent: ""
  readonly field?: string // absent: ""
  readonly message?: string // absent: ""
  readonly horizon?: string // absent: ""
}

/** A row (or one field of it) that `rows` brought and the server could not accept. */
export interface RefusedRow {
  readonly entity: string
  readonly id: string
  readonly code: string
  readonly message: string
  readonly field?: string // absent: ""
}

/** What one field takes. A limit that does not concern its kind is null. */
export interface FieldDescription {
  readonly kind: "text" | "bool" | "int" | "decimal" | "choice" | "reference" | "iban" | "image"
  readonly required: boolean
  readonly nullable: boolean
  readonly default: Json
  readonly maxLength: number | null
  readonly choices: readonly string[]
  readonly minimum: number | null
  readonly maximum: number | null
  readonly digits: number | null
  readonly places: number | null
  readonly target: string | null
}

/** A kind of row, its fields by name; `readOnly`: the server alone writes it. */
export interface EntityDescription {
  readonly readOnly: boolean
  readonly fields: Readonly<Record<string, FieldDescription>>
}

// --- Device to server ------------------------------------------------------------------------

/**
 * The first frame. `reset`: one that this device has noted and not finished.
 *
 * A `restored` one is finished when the end of the heal list is acknowledged. `anchor`: that of
 * the newest ack.
 */
export interface Hello {
  readonly type: "hello"
  readonly device: Uuid
  readonly node: NodeText
  readonly formerNodes?: readonly NodeText[] // absent: []
  readonly name?: Label // absent: ""
  readonly app?: Label // absent: ""
  readonly cursor?: CursorText | null // absent: null
  readonly pending?: number // absent: 0
  readonly acknowledged?: number // absent: 0
  readonly clockMs?: number // absent: 0
  readonly household?: Household | null // absent: null
  readonly reset?: ResetReason | null // absent: null
  readonly anchor?: AnchorText // absent: ""
}

/** Changes in the order of their numbers. `acknowledged`: all up to here is settled. */
export interface Push {
  readonly type: "push"
  readonly changes: readonly Change[]
  readonly acknowledged?: number // absent: 0
}

/** Whole rows with their stamps, to heal a server that lost them. `last`: list empty. */
export interface Rows {
  readonly type: "rows"
  readonly rows: readonly WireRow[]
  readonly last?: boolean // absent: false
}

/** Give credit for what is stored up to `cursor`; with `ask`, answer in any case. */
export interface Pull {
  readonly type: "pull"
  readonly cursor?: CursorText | null // absent: null
  readonly limit?: number // absent: 500
  readonly ask?: boolean // absent: false
}

/** The heartbeat, and how the device is: counts, and the age of its oldest change. */
export interface Ping {
  readonly type: "ping"
  readonly pending?: number // absent: 0
  readonly oldestPendingMs?: number // absent: 0
  readonly refused?: number // absent: 0
  readonly parked?: number // absent: 0
  readonly cursor?: CursorText | null // absent: null
  readonly clockMs?: number // absent: 0
}

/** The answer to a `sync_request`, when the device is done (or knows it cannot be). */
export interface Report {
  readonly type: "report"
  readonly id: Uuid
  readonly sent?: number // absent: 0
  readonly received?: number // absent: 0
  readonly pending?: number // absent: 0
  readonly refused?: number // absent: 0
  readonly parked?: number // absent: 0
  readonly cursor?: CursorText | null // absent: null
  readonly outcome?: "done" | "pending" | "failed" // absent: "done"
}

/** What a device sends. */
export type UpFrame =
  | Hello
  | Push
  | Rows
  | Pull
  | Ping
  | Report
export type UpFrameType = UpFrame["type"]

// --- Server to device ------------------------------------------------------------------------

/** The answer to hello. `identity` "taken": take a new one and connect again. */
export interface Welcome {
  readonly type: "welcome"
  readonly timeMs: number
  readonly head: number
  readonly role: Role
  readonly version: string
  readonly entities: Readonly<Record<string, EntityDescription>>
  readonly limits: Limits
  readonly resume: boolean
  readonly reset?: ResetReason | null // absent: null
  readonly identity?: "kept" | "taken" // absent: "kept"
  readonly created?: boolean // absent: false
  readonly user?: string // absent: ""
}

/** The household that `hello` brought is being made: so many steps are done. */
export interface Provisioning {
  readonly type: "provisioning"
  readonly step: number
  readonly of: number
}

/** Rows behind `from`, up to `to` (seqs). Shown by the device when `more` is false. */
export interface Changes {
  readonly type: "changes"
  readonly rows: readonly WireRow[]
  readonly from: number
  readonly to: number
  readonly cursor: CursorText
  readonly more: boolean
  readonly head: number
}

/**
 * Durable now: the answer to `push` (a result each) or `rows` (how many are settled).
 *
 * head: the household's, with this in it. anchor: opaque; the next `hello` says it, so that a
 * server which was restored to a moment before is found out.
 */
export interface Ack {
  readonly type: "ack"
  readonly results?: readonly Result[] // absent: []
  readonly rows?: number // absent: 0
  readonly refusedRows?: readonly RefusedRow[] // absent: []
  readonly of?: "push" | "rows" // absent: "push"
  readonly head?: number // absent: 0
  readonly anchor?: AnchorText // absent: ""
}

/** The household is at this seq now. Carries no data: the device pulls. */
export interface News {
  readonly type: "news"
  readonly head: number
}

/** Somebody asks this device to sync now, and to `report`. `by`: who asked. */
export interface SyncRequest {
  readonly type: "sync_request"
  readonly id: string
  readonly by: string
}

/** The answer to `ping`: the server's time and head, fresh evidence for the device. */
export interface Pong {
  readonly type: "pong"
  readonly timeMs: number
  readonly head: number
}

/** How the server is, for everybody who is connected. */
export interface Status {
  readonly type: "status"
  readonly state: "online" | "maintenance" | "shutting_down"
  readonly message?: string // absent: ""
}

/** A frame was not accepted; it settled nothing. `of`: the type of that frame. */
export interface ErrorFrame {
  readonly type: "error"
  readonly code: string
  readonly message: string
  readonly of?: string // absent: ""
  readonly retryable?: boolean // absent: false
  readonly retryAfterMs?: number // absent: 0
}

/** What the server sends. */
export type DownFrame =
  | Welcome
  | Provisioning
  | Changes
  | Ack
  | News
  | SyncRequest
  | Pong
  | Status
  | ErrorFrame
export type DownFrameType = DownFrame["type"]

// --- Codes -----------------------------------------------------------------------------------

/** Why a frame was not accepted. It settled nothing; the sender keeps what it sent. */
export const ERRORS = {
  internal: {
    sentence: "Something went wrong on the server. Nothing was lost; try again.",
    retryable: true,
    closeCode: null,
  },
  bad_frame: {
    sentence: "This frame is not part of the protocol.",
    retryable: false,
    closeCode: null,
  },
  too_large: {
    sentence: "This frame is larger than the server accepts.",
    retryable: false,
    closeCode: 4413,
  },
  too_many: {
    sentence: "This frame holds more rows than the server accepts at once.",
    retryable: false,
    closeCode: null,
  },
  too_fast: {
    sentence: "Too many frames in a short time.",
    retryable: true,
    closeCode: 4429,
  },
  out_of_turn: {
    sentence: "This frame may not come at this moment.",
    retryable: false,
    closeCode: null,
  },
  no_hello: {
    sentence: "The first frame must be a hello, within 10 seconds.",
    retryable: false,
    closeCode: 4408,
  },
  sign_in: {
    sentence: "Sign in to sync. Your changes are safe on this device.",
    retryable: false,
    closeCode: 4401,
  },
  not_yours: {
    sentence: "There is no such household for you.",
    retryable: false,
    closeCode: 4403,
  },
  forbidden: {
    sentence: "You may read this household, but not change it.",
    retryable: false,
    closeCode: null,
  },
  upgrade_needed: {
    sentence: "This app is too old to sync. Update it; your changes stay on this device.",
    retryable: false,
    closeCode: 4426,
  },
  restarting: {
    sentence: "Connect again.",
    retryable: true,
    closeCode: 1012,
  },
  maintenance: {
    sentence: "This household is being maintained. Your changes are safe; sync resumes by itself.",
    retryable: true,
    closeCode: 1012,
  },
  busy: {
    sentence: "The household is busy. Try again in a moment.",
    retryable: true,
    closeCode: null,
  },
  db_unavailable: {
    sentence: "The database cannot be reached. Your changes are safe; try again in a moment.",
    retryable: true,
    closeCode: null,
  },
  creation_limit: {
    sentence: "Too many new households today. Try again tomorrow.",
    retryable: true,
    closeCode: 4403,
  },
  email_unverified: {
    sentence: "Confirm your e-mail address before you create a household.",
    retryable: false,
    closeCode: 4403,
  },
} as const
export type ErrorCode = keyof typeof ERRORS

/** Why one change can be refused. The sentence a person reads comes with it. */
export const REFUSAL_CODES = [
  "unknown", // the server knows no such entity (yet): the device parks the change
  "read_only", // an entity or field that only the server writes
  "row_missing", // an edit of a row that the server does not have (any more)
  "depends", // a follower of a create that was refused
  "required",
  "type",
  "text", // NUL or a lone surrogate
  "too_long",
  "choice",
  "range",
  "digits",
  "iban",
  "image",
  "reference",
  "invalid", // refused by a validator of the model
  "row_too_large",
  "stamp_foreign", // a stamp of a node that is not this device's
] as const
export type RefusalCode = (typeof REFUSAL_CODES)[number]

/** The errors after which a socket closes, by WebSocket close code. */
export const CLOSE_CODES = {
  1009: ["too_large"],
  1012: ["restarting", "maintenance"],
  4400: ["bad_frame"],
  4401: ["sign_in"],
  4403: ["not_yours", "creation_limit", "email_unverified"],
  4408: ["no_hello"],
  4413: ["too_large"],
  4426: ["upgrade_needed"],
  4429: ["too_fast"],
} as const
