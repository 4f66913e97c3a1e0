// @vitest-environment jsdom
import { beforeAll, expect, test, vi } from "vitest"

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
