// Frames as text, and rows as they travel. The frames themselves are in messages.ts.

import { type Row, packStamps, unpackStamps } from "./change"
import { BadFrame } from "./errors"
import type {
  Ack,
  Changes,
  DownFrame,
  DownFrameType,
  EntityDescription,
  ErrorFrame,
  Limits,
  News,
  Pong,
  Provisioning,
  RefusedRow,
  Result,
  Status,
  SyncRequest,
  UpFrame,
  Welcome,
  WireRow,
} from "./messages"
import * as read from "./read"

const FIELDS_MAX = 200
const uuid = read.text(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/)
const stamp = read.text(/^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$/)
const name = read.text(/^[^\x00-\x1f\x7f]{1,40}$/u)
const count = read.integer(0)
const anyInteger = read.integer()
const anyText = read.text()
const texts = read.list(anyText)

/** One frame as JSON text. */
export function encode(frame: UpFrame): string {
  return JSON.stringify(frame)
}

/**
 * Parse what the server sent; throws BadFrame. Unknown keys are ignored.
 *
 * The `entities` of a welcome are passed on as they are told: read them with `entitiesFrom`.
 */
export function textToDown(text: string): DownFrame {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new BadFrame("The server's frame is not JSON.")
  }
  const { type } = anyFrame(value, "frame")
  return DOWN[type](value, "frame")
}

export function rowToWire(row: Row): WireRow {
  const { common, exceptions } = packStamps(row.stamps)
  const wire = { entity: row.entity, id: row.id, fields: row.fields, stamp: common }
  return Object.keys(exceptions).length === 0 ? wire : { ...wire, stamps: exceptions }
}

export function wireToRow(wire: WireRow): Row {
  const packed = { common: wire.stamp, exceptions: wire.stamps ?? {} }
  const stamps = unpackStamps(wire.fields, packed)
  return { entity: wire.entity, id: wire.id, fields: wire.fields, stamps }
}

const wireRow = read.object<WireRow>(
  { entity: name, id: uuid, fields: read.record(read.json, FIELDS_MAX), stamp },
  { stamps: read.record(stamp, FIELDS_MAX) },
)

const result = read.object<Result>(
  { number: anyInteger, fate: read.oneOf("applied", "superseded", "refused", "settled") },
  {
    stamp: anyText,
    lost: texts,
    unknown: texts,
    code: anyText,
    field: anyText,
    message: anyText,
    horizon: anyText,
  },
)

const refusedRow = read.object<RefusedRow>(
  { entity: anyText, id: anyText, code: anyText, message: anyText },
  { field: anyText },
)

const limits = read.object<Limits>(
  {},
  {
    frameBytes: anyInteger,
    batchRows: anyInteger,
    batchBytes: anyInteger,
    rowBytes: anyInteger,
    heartbeatMs: anyInteger,
  },
)

const DOWN: { readonly [Type in DownFrameType]: read.Reader<Extract<DownFrame, { type: Type }>> } =
  {
    welcome: read.object<Welcome>(
      {
        type: read.oneOf("welcome"),
        timeMs: anyInteger,
        head: count,
        role: read.oneOf("owner", "editor", "viewer"),
        version: anyText,
        entities: read.record((told) => told as EntityDescription),
        limits,
        resume: read.truth,
      },
      {
        reset: read.orNull(read.oneOf("horizon", "restored", "operator")),
        identity: read.oneOf("kept", "taken"),
        created: read.truth,
        user: anyText,
      },
    ),
    provisioning: read.object<Provisioning>({
      type: read.oneOf("provisioning"),
      step: anyInteger,
      of: anyInteger,
    }),
    changes: read.object<Changes>({
      type: read.oneOf("changes"),
      rows: read.list(wireRow),
      from: anyInteger,
      to: anyInteger,
      cursor: read.text(/^.{0,240}$/su),
      more: read.truth,
      head: count,
    }),
    ack: read.object<Ack>(
      { type: read.oneOf("ack") },
      {
        results: read.list(result),
        rows: anyInteger,
        refusedRows: read.list(refusedRow),
        of: read.oneOf("push", "rows"),
        head: count,
        anchor: read.text(/^.{0,40}$/su),
      },
    ),
    news: read.object<News>({ type: read.oneOf("news"), head: count }),
    sync_request: read.object<SyncRequest>({
      type: read.oneOf("sync_request"),
      id: anyText,
      by: anyText,
    }),
    pong: read.object<Pong>({ type: read.oneOf("pong"), timeMs: anyInteger, head: count }),
    status: read.object<Status>(
      { type: read.oneOf("status"), state: read.oneOf("online", "maintenance", "shutting_down") },
      { message: anyText },
    ),
    error: read.object<ErrorFrame>(
      { type: read.oneOf("error"), code: anyText, message: anyText },
      { of: anyText, retryable: read.truth, retryAfterMs: anyInteger },
    ),
  }

const anyFrame = read.object<{ readonly type: DownFrameType }>({
  type: read.oneOf(...(Object.keys(DOWN) as DownFrameType[])),
})
