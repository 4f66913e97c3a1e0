import * as fc from "fast-check"
import { createHash } from "node:crypto"
import { expect, test } from "vitest"

import { uuid5 } from "./uuid5"

const DNS = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

test("the example of RFC 9562", () => {
  expect(uuid5(DNS, "www.example.com")).toBe("2ed6657d-e927-568b-95e1-2665a8aea6a2")
})

test("the hash is that of the machine's library, whatever the name and however long", () => {
  const names = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 200 }),
    fc.string({ minLength: 50, maxLength: 70 }),
  )
  fc.assert(
    fc.property(names, (name) => {
      const hash = createHash("sha1")
        .update(Buffer.from(DNS.replaceAll("-", ""), "hex"))
        .update(name)
      const hex = hash.digest("hex").slice(0, 32)
      // All but the digits of version and variant.
      const plain = uuid5(DNS, name).replaceAll("-", "")
      expect(plain.slice(0, 12) + plain.slice(13, 16) + plain.slice(17)).toBe(
        hex.slice(0, 12) + hex.slice(13, 16) + hex.slice(17),
      )
      expect([plain[12], "89ab".includes(plain[16] ?? "?")]).toEqual(["5", true])
    }),
  )
})
