import { expect, test } from "vitest"

import de from "./de.json"
import en from "./en.json"

type Part = string | { readonly [name: string]: Part }

function messagesOf(part: Part, path = ""): Map<string, string> {
  if (typeof part === "string") return new Map([[path, part]])
  return new Map(
    Object.entries(part).flatMap(([name, each]) => [
      ...messagesOf(each, path === "" ? name : `${path}.${name}`),
    ]),
  )
}

const german = messagesOf(de)
const english = messagesOf(en)
const namesIn = (message: string) => [...new Set(message.match(/\{\w+\}/g) ?? [])].sort()

test("every message exists in both languages", () => {
  expect([...english.keys()].sort()).toEqual([...german.keys()].sort())
})

test.each([...german])("%s has the same names and forms in both languages", (key, message) => {
  const other = english.get(key) ?? ""
  expect(namesIn(other)).toEqual(namesIn(message))
  expect(other.split(" | ").length).toBe(message.split(" | ").length)
})

test("German says du", () => {
  const formal = [...german].filter(([, message]) => /\b(?:Sie|Ihr|Ihre[rnms]?|Ihnen)\b/.test(message))
  // At the beginning of a sentence "Sie" is also "they", and "Ihr" is "you two".
  expect(formal.map(([key]) => key)).toEqual(["sign_out.pending", "welcome.point_together"])
})
