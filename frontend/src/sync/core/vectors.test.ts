// Every group of every file of vectors has a reader here, or a reason why it needs none.

import { readFileSync, readdirSync } from "node:fs"
import { describe, expect, test } from "vitest"

import { FILES, vectors } from "./testing/vectors"

const CORE = new URL(".", import.meta.url)
const CALL = /\bcases(?:<[^(]*>)?\(\s*"(\w+)",\s*"(\w+)"/g

/** What a device has no part in. */
const FOR_SERVERS: Readonly<Record<string, string>> = {
  "cursors.ordered": "positions are read by the server alone; a cursor is opaque to a device",
  "frames.upRefused": "a device sends only what its types allow; types.test.ts bears that",
}
/** Formats of older apps: the server translates them, and no device of ours speaks them. */
const DIALECTS = ["finwise04"]
/** What other groups of the file refer to. */
const MATERIAL = ["about", "entities"]

const GROUPS: readonly string[] = [...FILES.keys()]
  .filter((name) => !DIALECTS.includes(name))
  .flatMap((name) =>
    Object.keys(vectors(name))
      .filter((group) => !MATERIAL.includes(group))
      .map((group) => `${name}.${group}`),
  )

const READERS: ReadonlyMap<string, string> = new Map(
  readdirSync(CORE)
    .filter((file) => file.endsWith(".test.ts"))
    .flatMap((file) =>
      [...readFileSync(new URL(file, CORE), "utf8").matchAll(CALL)].map(
        ([, name = "", group = ""]) => [`${name}.${group}`, file] as const,
      ),
    ),
)

describe("the vectors", () => {
  test.each(GROUPS)("%s has a reader", (group) => {
    const isAnswered = READERS.has(group) !== Object.hasOwn(FOR_SERVERS, group)
    expect(isAnswered, `No test calls cases() with ${group}: write one, or say why not`).toBe(true)
  })

  test("that are read or excused exist", () => {
    expect(GROUPS).toEqual(expect.arrayContaining([...READERS.keys(), ...Object.keys(FOR_SERVERS)]))
  })
})
