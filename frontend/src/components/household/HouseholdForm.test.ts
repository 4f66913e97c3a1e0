// @vitest-environment jsdom
import { mount } from "@vue/test-utils"
import { createPinia } from "pinia"
import { afterEach, expect, test, vi } from "vitest"
import { nextTick } from "vue"

import { speak } from "../../i18n"
import { rescued } from "../../rescued"
import { provideServices, type Services } from "../../services/ports"
import HouseholdForm from "./HouseholdForm.vue"

afterEach(() => {
  provideServices(null)
})

test("a name may have as many characters as the server counts; one more is told, and nothing is cut off", async () => {
  // The document of the tests has dialogs without these.
  HTMLDialogElement.prototype.showModal = () => undefined
  HTMLDialogElement.prototype.close = () => undefined
  await speak("en")
  const create = vi.fn(() => Promise.resolve({ id: "h" }))
  provideServices({ households: { create } } as unknown as Services)
  const form = mount(HouseholdForm, {
    props: { isRename: false },
    global: { plugins: [createPinia()] },
  })
  await form.get("input").setValue("\u{1f3e1}".repeat(121))
  await form.get("form").trigger("submit")
  expect(form.get(".field-error").text()).toBe("This is too long: 121 characters, at most 120.")
  expect(create).not.toHaveBeenCalled()
  await form.get("input").setValue("\u{1f3e1}".repeat(120))
  await form.get("form").trigger("submit")
  expect(create).toHaveBeenCalledExactlyOnceWith("\u{1f3e1}".repeat(120))
  form.unmount()
})

test("a household that is made is shown in place of its form, and nothing typed has to be rescued", async () => {
  HTMLDialogElement.prototype.showModal = () => undefined
  HTMLDialogElement.prototype.close = () => undefined
  await speak("en")
  const create = () =>
    nextTick().then(() => {
      form.unmount() // the address follows the household before this is over
      return { id: "h" }
    })
  provideServices({ households: { create } } as unknown as Services)
  const form = mount(HouseholdForm, {
    props: { isRename: false },
    global: { plugins: [createPinia()] },
  })
  await form.get("input").setValue("Holiday home")
  await form.get("form").trigger("submit")
  await nextTick()
  expect(rescued.value).toBe("")
})
