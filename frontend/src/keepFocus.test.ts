// @vitest-environment jsdom
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"

import { keepFocus, rememberFocus } from "./keepFocus"

const at = (id: string): HTMLElement => {
  const found = document.getElementById(id)
  if (found === null) throw new Error(id)
  return found
}
const focused = () => document.activeElement?.id
/** Observers are told after what is running. */
const settled = () => Promise.resolve()

beforeAll(keepFocus)

beforeEach(() => {
  document.body.innerHTML = `
    <div id="app">
      <main id="content" tabindex="-1">
        <ul id="list"><li id="row"><a id="link" href="#x">x</a></li><li><a href="#y">y</a></li></ul>
        <div id="dialog"><p id="ask" role="alert"><button id="stay">stay</button></p>
          <input id="field"></div>
      </main>
      <p id="plain">text</p>
    </div>
    <div id="notices" role="status"><p id="notice"><button id="undo">undo</button></p></div>`
})

// The page of these tests is about to be taken away whole.
afterAll(() => {
  document.body.dispatchEvent(new Event("pointerdown", { bubbles: true }))
})

test("when what has the focus is taken away, the focus stays near by", async () => {
  at("link").focus()
  at("row").remove()
  await settled()
  expect(focused()).toBe("list")
  at("list").remove()
  await settled()
  expect(focused()).toBe("content")
})

test("a row that is put somewhere else keeps the focus", async () => {
  at("link").focus()
  at("link").blur() // as browsers do when they move an element
  at("list").append(at("row"))
  await settled()
  expect(focused()).toBe("link")
})

test("after what comes and goes the focus is back where it was", async () => {
  at("field").focus()
  at("stay").focus()
  at("ask").remove()
  await settled()
  expect(focused()).toBe("field")
  at("undo").focus()
  at("notice").remove()
  await settled()
  expect(focused()).toBe("field")
})

test("who clicks somewhere else gives the focus away, and nothing takes it back", async () => {
  at("link").focus()
  at("link").blur()
  at("plain").dispatchEvent(new Event("pointerdown", { bubbles: true }))
  at("row").remove()
  await settled()
  expect(document.activeElement).toBe(document.body)
})

test("a dialog whose opener is gone when it closes gives the focus to what is near it", async () => {
  at("link").focus()
  const comeBack = rememberFocus()
  at("field").focus()
  at("row").remove()
  await settled()
  comeBack(at("dialog"))
  expect(focused()).toBe("list")
  at("field").focus()
  at("field").blur()
  comeBack(null)
  expect(focused()).toBe("list")
  at("undo").focus()
  comeBack(at("dialog"))
  expect(focused()).toBe("undo")
})
