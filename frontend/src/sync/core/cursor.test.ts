// A cursor is opaque to a device: it is kept and sent as it is.

import { describe, expect, test } from "vitest"

import { encode, textToDown } from "./frames"
import type { Pull } from "./messages"
import { cases, title } from "./testing/vectors"

const CURSOR_MAX = 240

describe("vectors", () => {
  interface Cursor {
    readonly why: string
    readonly text: string
  }
  // A cursor that means nothing to the server is sent as well: only the server can tell.
  for (const each of [
    ...cases<Cursor>("cursors", "cursors"),
    ...cases<Cursor>("cursors", "malformed"),
  ]) {
    test(`a cursor comes back as it was told: ${title(each)}`, () => {
      const changes = { type: "changes", rows: [], from: 0, to: 1, more: false, head: 1 }
      expect(each.text.length).toBeLessThanOrEqual(CURSOR_MAX)
      const told = textToDown(JSON.stringify({ ...changes, cursor: each.text }))
      const cursor = told.type === "changes" ? told.cursor : null
      const pull: Pull = { type: "pull", cursor, ask: true }
      expect(JSON.parse(encode(pull))).toEqual({ type: "pull", cursor: each.text, ask: true })
    })
  }
})
