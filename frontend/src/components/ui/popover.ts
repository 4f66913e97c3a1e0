// Menus on the browser's own popovers: Escape and a click beside them close them, and the focus
// goes back to their button.

import { type Ref, ref } from "vue"

const GAP_PX = 6
const EDGE_PX = 12

export function usePopover(
  button: Readonly<Ref<HTMLElement | null>>,
  menu: Readonly<Ref<HTMLElement | null>>,
  side: "start" | "end",
) {
  const isOpen = ref(false)

  function close(): void {
    menu.value?.hidePopover()
  }

  function onToggle(event: Event): void {
    isOpen.value = (event as ToggleEvent).newState === "open"
    if (isOpen.value) place()
  }

  /** Under its button, inside the window. */
  function place(): void {
    if (button.value === null || menu.value === null) return
    const { left, right, bottom } = button.value.getBoundingClientRect()
    const width = menu.value.offsetWidth
    const wanted = side === "start" ? left : right - width
    const most = document.documentElement.clientWidth - width - EDGE_PX
    menu.value.style.left = `${Math.max(EDGE_PX, Math.min(wanted, most))}px`
    menu.value.style.top = `${bottom + GAP_PX}px`
  }

  return { isOpen, close, onToggle }
}
