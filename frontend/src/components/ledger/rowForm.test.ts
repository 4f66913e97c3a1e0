// @vitest-environment jsdom
import { beforeAll, expect, test, vi } from "vitest"
import { nextTick, reactive } from "vue"

import { speak } from "../../i18n"
import { useRowForm } from "./rowForm"

beforeAll(() => speak("de"))

const verbs = () => ({
  check: () => ({}),
  write: vi.fn(() => Promise.resolve("saved")),
  remove: vi.fn(() => Promise.resolve(true)),
  restore: vi.fn(() => Promise.resolve(true)),
})

test.each(["save", "remove", "restore"] as const)("pressed twice, %s is done once", async (verb) => {
  const doing = verbs()
  const form = useRowForm({}, doing)
  const written = doing[verb === "save" ? "write" : verb]
  await Promise.all([form[verb](), form[verb]()])
  await form[verb]()
  expect(written).toHaveBeenCalledOnce()
  expect(form.isDone).toBe(true)
})

test("what could not be written can be tried again", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined)
  const doing = verbs()
  const form = useRowForm({}, doing)
  doing.write.mockRejectedValueOnce(new Error("full"))
  await form.save()
  expect(form.failure).not.toBe("")
  expect(form.isDone).toBe(false)
  await form.save()
  expect(form.isDone).toBe(true)
  expect(form.failure).toBe("")
})

test("what was found wrong follows what is typed, and nothing more is found before the next press", async () => {
  const draft = reactive({ name: "", iban: "DE00" })
  const check = () => ({
    ...(draft.name === "" ? { name: "missing" } : {}),
    ...(draft.iban === "wrong" ? { iban: "wrong" } : {}),
  })
  const form = useRowForm(draft, { ...verbs(), check })
  await form.save()
  expect([form.problems, form.failedChecks]).toEqual([{ name: "missing" }, 1])
  draft.iban = "wrong"
  await nextTick()
  expect(form.problems).toEqual({ name: "missing" })
  draft.name = "Giro"
  await nextTick()
  expect(form.problems).toEqual({})
  await form.save()
  expect([form.problems, form.failedChecks]).toEqual([{ iban: "wrong" }, 2])
})
