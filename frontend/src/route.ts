// Where in the app somebody is, kept behind the "#": the shell is one page, and works offline.
//
//     #/h/<household>                    its accounts
//     #/h/<household>/account/<id|new>   a form over them; ?group=<id> for a new one
//     #/h/<household>/group/<id|new>
//     #/h/<household>/sync | rename | remove      #/new   a household to be made
//
// A form or panel is an address of its own, so the Back key of a phone closes it.

import { computed, readonly, shallowRef } from "vue"

export type Dialog =
  | { readonly kind: "account"; readonly id: string | null; readonly group: string | null }
  | { readonly kind: "group"; readonly id: string | null }
  | { readonly kind: "sync" }
  | { readonly kind: "rename" }
  | { readonly kind: "remove" }
  | { readonly kind: "new_household" }

export interface Route {
  readonly household: string | null
  readonly dialog: Dialog | null
}

const current = shallowRef<Route>(parseHash(location.hash))

export const route = readonly(current)

/** Which household the address names: who needs no more than that is not told of every dialog. */
export const routeHousehold = computed(() => current.value.household)

/** Whether the dialog may go; asked when the Back key would take it away. */
let mayClose: (() => boolean) | null = null

/** Ask this before the Back key closes the dialog that is open; null: nobody is asked. */
export function guardDialog(guard: (() => boolean) | null): void {
  mayClose = guard
}

/** Call once: follow the address as the person changes it. */
export function followAddress(): void {
  const look = () => {
    const { dialog } = current.value
    const isMoved = location.hash !== hashOf(current.value)
    if (dialog !== null && isMoved && mayClose?.() === false) {
      history.pushState({ isDialog: true }, "", hashOf(current.value))
      return
    }
    current.value = parseHash(location.hash)
  }
  addEventListener("hashchange", look)
  addEventListener("popstate", look)
}

export function parseHash(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?")
  const [first, household, kind, id] = path.split("/").map(decode)
  if (first === "new") return { household: null, dialog: { kind: "new_household" } }
  if (first !== "h" || household === undefined || household === "") {
    return { household: null, dialog: null }
  }
  return { household, dialog: dialogOf(kind, id, new URLSearchParams(query).get("group")) }
}

function dialogOf(
  kind: string | undefined,
  id: string | undefined,
  group: string | null,
): Dialog | null {
  const row = id === undefined || id === "new" ? null : id
  switch (kind) {
    case "account":
      return { kind, id: row, group }
    case "group":
      return { kind, id: row }
    case "sync":
    case "rename":
    case "remove":
      return { kind }
    default:
      return null
  }
}

export function hashOf({ household, dialog }: Route): string {
  if (dialog?.kind === "new_household") return "#/new"
  if (household === null) return "#/"
  const base = `#/h/${encodeURIComponent(household)}`
  if (dialog === null) return base
  switch (dialog.kind) {
    case "account": {
      const group = dialog.group === null ? "" : `?group=${encodeURIComponent(dialog.group)}`
      return `${base}/account/${encodeURIComponent(dialog.id ?? "new")}${group}`
    }
    case "group":
      return `${base}/group/${encodeURIComponent(dialog.id ?? "new")}`
    case "sync":
    case "rename":
    case "remove":
      return `${base}/${dialog.kind}`
  }
}

/** Show a household without any dialog; the way back leads to where the person was before. */
export function showHousehold(household: string | null): void {
  replace({ household, dialog: null })
}

export function openDialog(dialog: Dialog): void {
  const next: Route = { household: current.value.household, dialog }
  history.pushState({ isDialog: true }, "", hashOf(next))
  current.value = next
}

/** Close what openDialog has opened, or what the page was opened with. */
export function closeDialog(): void {
  if (current.value.dialog === null) return
  if (isDialogState(history.state)) history.back()
  else replace({ household: current.value.household, dialog: null })
}

function replace(next: Route): void {
  history.replaceState(null, "", hashOf(next))
  current.value = next
}

function isDialogState(state: unknown): boolean {
  return typeof state === "object" && state !== null && "isDialog" in state
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return ""
  }
}
