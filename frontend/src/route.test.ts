// @vitest-environment jsdom
import { expect, test } from "vitest"

import {
  closeDialog,
  followAddress,
  guardDialog,
  hashOf,
  openDialog,
  parseHash,
  type Route,
  route,
  showHousehold,
} from "./route"

const HOME = "0b5c7f7e-6a55-4f0a-9a39-0f62c0a0a001"

const ROUTES: readonly Route[] = [
  { household: null, dialog: null },
  { household: null, dialog: { kind: "new_household" } },
  { household: HOME, dialog: null },
  { household: HOME, dialog: { kind: "sync" } },
  { household: HOME, dialog: { kind: "rename" } },
  { household: HOME, dialog: { kind: "remove" } },
  { household: HOME, dialog: { kind: "account", id: null, group: null } },
  { household: HOME, dialog: { kind: "account", id: null, group: "g 1" } },
  { household: HOME, dialog: { kind: "account", id: "a/1", group: null } },
  { household: HOME, dialog: { kind: "group", id: null } },
  { household: HOME, dialog: { kind: "group", id: "g" } },
]

test.each(ROUTES)("%j is the same after a reload", (each) => {
  expect(parseHash(hashOf(each))).toEqual(each)
})

test.each(["", "#", "#/", "#/h", "#/h/", "#/x/y", "#/%E0%A4%A"])("%s leads home", (hash) => {
  expect(parseHash(hash)).toEqual({ household: null, dialog: null })
})

test("a dialog that the page was opened with closes without leaving the app", () => {
  showHousehold(HOME)
  history.replaceState(null, "", `#/h/${HOME}/sync`)
  openDialog({ kind: "sync" })
  expect(route.value.dialog).toEqual({ kind: "sync" })
  history.replaceState(null, "", location.hash) // as after a reload: nobody knows who opened it
  closeDialog()
  expect(route.value).toEqual({ household: HOME, dialog: null })
  expect(location.hash).toBe(`#/h/${HOME}`)
})

test("a form that asks first stays when the Back key is pressed, and then closes by itself", async () => {
  showHousehold(HOME)
  followAddress()
  openDialog({ kind: "account", id: null, group: null })
  let mayGo = false
  guardDialog(() => mayGo)
  const back = () =>
    new Promise((resolve) => {
      addEventListener("popstate", resolve, { once: true })
      history.back()
    })
  await back()
  expect(route.value.dialog?.kind).toBe("account")
  expect(parseHash(location.hash)).toEqual(route.value)
  mayGo = true
  await back()
  expect(route.value).toEqual({ household: HOME, dialog: null })
  guardDialog(null)
})
