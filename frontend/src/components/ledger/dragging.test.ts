// @vitest-environment jsdom
import { mount, type VueWrapper } from "@vue/test-utils"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { defineComponent, h, nextTick, ref, useTemplateRef } from "vue"

import { useDragging } from "./arranging"

interface Drag {
  readonly item: Element
  readonly from: Element
  readonly to: Element
}
type Told = (drag: Drag) => void

// The library, as far as it is used: it moves the element, and tells when the pointer is let go.
const library = vi.hoisted(() => ({ options: null as null | { onStart: Told; onEnd: Told } }))
vi.mock("sortablejs", () => ({
  default: {
    create: (_list: Element, options: { onStart: Told; onEnd: Told }) => {
      library.options = options
      return { destroy: () => undefined }
    },
  },
}))

const ids = ref<readonly string[]>([])
const onMove = vi.fn()
let page: VueWrapper

const List = defineComponent({
  setup() {
    const list = useTemplateRef<HTMLElement>("list")
    useDragging(list, ref(true), "account", () => ids.value, onMove)
    return () => h("ul", { ref: "list" }, ids.value.map((id) => h("li", { key: id, "data-account": id })))
  },
})

beforeEach(async () => {
  library.options = null
  vi.stubGlobal("matchMedia", () => ({ matches: true }))
  onMove.mockClear()
  ids.value = ["a", "b", "c", "d"]
  page = mount(List, { attachTo: document.body })
  await vi.waitFor(() => { expect(library.options).not.toBeNull() })
})

afterEach(() => {
  page.unmount()
  vi.unstubAllGlobals()
})

const shown = () => page.findAll("li").map((each) => each.attributes("data-account")).join("")

/** Take a row to the end of the list; the pointer is not let go yet. */
function drag(id: string): () => void {
  const list = page.get("ul").element
  const item = page.get(`[data-account=${id}]`).element
  const told = { item, from: list, to: list }
  const end = () => {
    document.removeEventListener("pointerup", end)
    library.options?.onEnd(told)
  }
  document.addEventListener("pointerup", end)
  library.options?.onStart(told)
  list.append(item)
  return end
}

test("what is let go is told, and stands where it is known until the store says otherwise", () => {
  drag("a")()
  expect(onMove).toHaveBeenCalledExactlyOnceWith("a", page.get("ul").element, null)
  expect(shown()).toBe("abcd")
})

test("Escape in the middle of a drag moves nothing", () => {
  drag("b")
  expect(shown()).toBe("acdb")
  dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }))
  expect(shown()).toBe("abcd")
  expect(onMove).not.toHaveBeenCalled()
})

test("a row that another device deletes while it is dragged is gone, and does not come twice", async () => {
  const end = drag("b")
  ids.value = ["a", "c", "d"]
  await nextTick()
  await Promise.resolve()
  end()
  expect(shown()).toBe("acd")
  ids.value = ["a", "b", "c", "d"]
  await nextTick()
  expect(shown()).toBe("abcd")
  expect(onMove).not.toHaveBeenCalled()
})

test("rows that come while one is dragged stand in their order afterwards", async () => {
  const end = drag("a")
  ids.value = ["new", "a", "b", "c", "d"]
  await nextTick()
  end()
  expect(shown()).toBe("newabcd")
  ids.value = ["new", "b", "a", "c", "d"]
  await nextTick()
  expect(shown()).toBe("newbacd")
})
