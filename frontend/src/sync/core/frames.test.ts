import * as fc from "fast-check"
import { describe, expect, test } from "vitest"

import { BadFrame, isErrorCode, isRefusalCode } from "./errors"
import { encode, rowToWire, textToDown, wireToRow } from "./frames"
import {
  CLOSE_CODES,
  type DownFrame,
  ERRORS,
  type Push,
  REFUSAL_CODES,
  type Rows,
  type UpFrame,
} from "./messages"
import { isSame } from "./merge"
import { newEntry, toChange } from "./outbox"
import { rows } from "./testing/arbitraries"
import { cases, title } from "./testing/vectors"

describe("vectors", () => {
  for (const { frame, ...each } of cases<{ frame: DownFrame; name: string }>("frames", "down")) {
    test(`a frame of the server is read: ${title(each)}`, () => {
      expect(textToDown(JSON.stringify(frame))).toStrictEqual(frame)
      expect(frame.type === "error" ? isErrorCode(frame.code) : true).toBe(true)
    })
  }

  for (const each of cases<{ why: string; frame: unknown; read: unknown }>("frames", "downNewer")) {
    test(`a frame of a newer server is read as far as it is known: ${title(each)}`, () => {
      expect(textToDown(JSON.stringify(each.frame))).toStrictEqual(each.read)
    })
  }

  for (const each of cases<{ why: string; text: string }>("frames", "downRefused")) {
    test(`no server says this: ${title(each)}`, () => {
      expect(() => textToDown(each.text)).toThrow(BadFrame)
    })
  }

  for (const { frame, ...each } of cases<{ frame: UpFrame; name: string }>("frames", "up")) {
    test(`a device says this: ${title(each)}`, () => {
      expect(JSON.parse(encode(said(frame)))).toStrictEqual(frame)
    })
  }

  test("every error is told with the sentence and the close code of messages.ts", () => {
    const told = cases<{ frame: DownFrame }>("frames", "down").flatMap(({ frame }) =>
      frame.type === "error" ? [frame] : [],
    )
    expect(told.map(({ code }) => code).sort()).toEqual(Object.keys(ERRORS).sort())
    for (const { code, message, retryable = false } of told) {
      if (!isErrorCode(code)) throw new Error(`${code} is not known`)
      expect(ERRORS[code]).toMatchObject({ sentence: message, retryable })
    }
    for (const [code, names] of Object.entries(CLOSE_CODES)) {
      for (const name of names)
        expect([Number(code), 4413, 1012]).toContain(ERRORS[name].closeCode ?? Number(code))
    }
  })

  test("every refusal code is one that this device knows", () => {
    const results = cases<{ frame: DownFrame }>("frames", "down").flatMap(({ frame }) =>
      frame.type === "ack" ? (frame.results ?? []) : [],
    )
    const told = new Set(results.flatMap(({ code }) => code ?? []))
    expect([...told].every(isRefusalCode)).toBe(true)
    expect(told.size).toBe(REFUSAL_CODES.length)
  })
})

describe("reading a frame", () => {
  const down = cases<{ frame: DownFrame }>("frames", "down").map(({ frame }) => frame)

  test("of anything ends in a frame or a BadFrame", () => {
    const spoilt = fc
      .tuple(fc.constantFrom(...down), fc.nat(), fc.oneof(fc.jsonValue(), fc.anything()))
      .map(([frame, n, value]) => {
        const keys = Object.keys(frame)
        return { ...frame, [keys[n % keys.length] ?? "type"]: value }
      })
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), spoilt, fc.string()), (value) => {
        const text = typeof value === "string" ? value : JSON.stringify(value, bigintToText)
        try {
          expect(typeof textToDown(text).type).toBe("string")
        } catch (error) {
          expect(error).toBeInstanceOf(BadFrame)
        }
      }),
    )
  })

  test("keeps fields with names that every record has by itself", () => {
    const row = `{"entity":"account","id":"${"0".repeat(8)}-0000-4000-8000-${"0".repeat(12)}",
      "fields":{"__proto__":1,"constructor":2},"stamp":"018bcfe56801-0000-00000000000000aa"}`
    const text = `{"type":"changes","rows":[${row}],"from":0,"to":1,"cursor":"","more":false,"head":1}`
    const frame = textToDown(text)
    const [wire] = frame.type === "changes" ? frame.rows : []
    if (wire === undefined) throw new Error("no row")
    expect(Object.keys(wire.fields)).toEqual(["__proto__", "constructor"])
    expect(Object.keys(wireToRow(wire).stamps)).toEqual(["__proto__", "constructor"])
    expect(JSON.stringify(rowToWire(wireToRow(wire)))).toBe(JSON.stringify(wire))
  })

  test.each(down.filter((frame) => "head" in frame))(
    "of type $type refuses a head that is none, or that JavaScript cannot count",
    (frame) => {
      for (const head of [-1, 1.5, 2 ** 53, "7", null]) {
        expect(() => textToDown(JSON.stringify({ ...frame, head }))).toThrow(BadFrame)
      }
    },
  )
})

describe("a row", () => {
  test("travels and arrives as it was", () => {
    fc.assert(fc.property(rows, (row) => isSame(row, wireToRow(rowToWire(row)))))
  })
})

/** The frame as this device makes it: changes from its queue, rows from its base. */
function said(frame: UpFrame): UpFrame {
  if (frame.type === "push") return { ...frame, changes: frame.changes.map(requeued) }
  if (frame.type === "rows") return { ...frame, rows: frame.rows.map(restored) }
  return frame
}

function requeued({ number, id, ...change }: Push["changes"][number]): Push["changes"][number] {
  return toChange(newEntry({ ...change, local: number, rowId: id }), number)
}

function restored(wire: Rows["rows"][number]): Rows["rows"][number] {
  return rowToWire(wireToRow(wire))
}

function bigintToText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value
}
