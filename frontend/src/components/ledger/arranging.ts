// Moving accounts and groups, by pointer and by keys. What is moved shows in its new place at
// once; the store follows.

import type Sortable from "sortablejs"
import { computed, onScopeDispose, type Ref, shallowRef, watch } from "vue"
import { t } from "../../i18n"

import { announce } from "../../notices"
import { useLedgerStore } from "../../stores/ledgerStore"
import { useTroubles } from "../../troubles"
import type { Account, AccountGroup } from "../../types"

/** A heading with its accounts; null: those without a group. */
export interface Section {
  readonly group: AccountGroup | null
  readonly active: readonly Account[]
  readonly inactive: readonly Account[]
}

interface Move {
  readonly id: string
  readonly groupId: string | null
  readonly beforeId: string | null
}

export function useArranging() {
  const ledger = useLedgerStore()
  const { attempt } = useTroubles()
  const isArranging = shallowRef(false)
  const movedAccount = shallowRef<Move | null>(null)
  const movedGroup = shallowRef<Omit<Move, "groupId"> | null>(null)

  const groups = computed(() => {
    const move = movedGroup.value
    return move === null ? ledger.groups : inFront(ledger.groups, move.id, move.beforeId)
  })

  const sections = computed<readonly Section[]>((before) => {
    const all = groups.value.map((group) => sectionOf(group))
    const loose = sectionOf(null)
    const isShown =
      isArranging.value || all.length === 0 || loose.active.length + loose.inactive.length > 0
    return kept(before ?? [], isShown ? [...all, loose] : all)
  })

  function sectionOf(group: AccountGroup | null): Section {
    const id = group?.id ?? null
    const move = movedAccount.value
    let accounts = ledger.accountsOf(id)
    if (move !== null) {
      const account = ledger.accountsById.get(move.id)
      const others = accounts.filter((each) => each.id !== move.id)
      accounts =
        move.groupId === id && account !== undefined
          ? inFront([...others, account], move.id, move.beforeId)
          : others
    }
    return {
      group,
      active: accounts.filter((account) => account.isActive),
      inactive: accounts.filter((account) => !account.isActive),
    }
  }

  async function moveAccount(
    id: string,
    groupId: string | null,
    beforeId: string | null,
  ): Promise<void> {
    movedAccount.value = { id, groupId, beforeId }
    const isStored = await attempt(() => ledger.moveAccount(id, groupId, beforeId))
    if (isStored) await untilShown(() => isInPlace(ledger.accountsOf(groupId), id, beforeId))
    movedAccount.value = null
    tellPlaceOf(id)
  }

  async function moveGroup(id: string, beforeId: string | null): Promise<void> {
    movedGroup.value = { id, beforeId }
    const isStored = await attempt(() => ledger.moveGroup(id, beforeId))
    if (isStored) await untilShown(() => isInPlace(ledger.groups, id, beforeId))
    movedGroup.value = null
    const place = ledger.groups.findIndex((group) => group.id === id)
    const name = ledger.groups[place]?.name ?? ""
    announce(t("ledger.moved_group", { name, place: place + 1, of: ledger.groups.length }))
  }

  // Steps come faster than they are stored; each begins where the one before has ended.
  let steps = Promise.resolve()
  function inTurn(step: () => Promise<void>): Promise<void> {
    steps = steps.then(step)
    return steps
  }

  function tellPlaceOf(id: string): void {
    const section = sections.value.find(({ active }) => active.some((each) => each.id === id))
    if (section === undefined) return
    const place = section.active.findIndex((each) => each.id === id)
    announce(
      t("ledger.moved_account", {
        name: section.active[place]?.name ?? "",
        place: place + 1,
        of: section.active.length,
        group: section.group?.name ?? t("ledger.ungrouped"),
      }),
    )
  }

  /** One place up (-1) or down (1); over the edge of a group into the next one. */
  async function stepAccount(id: string, step: -1 | 1): Promise<void> {
    const all = sections.value
    const at = all.findIndex(({ active }) => active.some((each) => each.id === id))
    const here = all[at]
    if (here === undefined) return
    const place = here.active.findIndex((each) => each.id === id)
    const target = place + step
    if (target >= 0 && target < here.active.length) {
      const before = here.active[step === 1 ? target + 1 : target]
      await moveAccount(id, here.group?.id ?? null, before?.id ?? null)
      return
    }
    const next = all[at + step]
    if (next === undefined) {
      announce(t("ledger.cannot_move", { name: here.active[place]?.name ?? "" }))
      return
    }
    const before = step === 1 ? next.active[0] : undefined
    await moveAccount(id, next.group?.id ?? null, before?.id ?? null)
  }

  async function stepGroup(id: string, step: -1 | 1): Promise<void> {
    const place = ledger.groups.findIndex((group) => group.id === id)
    const target = place + step
    if (target < 0 || target >= ledger.groups.length) {
      announce(t("ledger.cannot_move", { name: ledger.groups[place]?.name ?? "" }))
      return
    }
    const before = ledger.groups[step === 1 ? target + 1 : target]
    await moveGroup(id, before?.id ?? null)
  }

  return {
    isArranging,
    sections,
    moveAccount,
    moveGroup,
    stepAccount: (id: string, step: -1 | 1) => inTurn(() => stepAccount(id, step)),
    stepGroup: (id: string, step: -1 | 1) => inTurn(() => stepGroup(id, step)),
  }
}

/** The new sections; those in which nothing differs are the old ones, and not rendered again. */
function kept(before: readonly Section[], now: readonly Section[]): readonly Section[] {
  const known = new Map(before.map((section) => [section.group?.id, section]))
  return now.map((section) => {
    const old = known.get(section.group?.id)
    const isSame =
      old?.group === section.group &&
      areSame(old.active, section.active) &&
      areSame(old.inactive, section.inactive)
    return isSame ? old : section
  })
}

function areSame(a: readonly Account[], b: readonly Account[]): boolean {
  return a.length === b.length && a.every((account, n) => account === b[n])
}

const SHOWN_AT_LATEST_MS = 1_000

/** What is stored shows a moment later; and never, if somebody else has moved it meanwhile. */
function untilShown(isShown: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      stop()
      resolve()
    }
    const timer = setTimeout(end, SHOWN_AT_LATEST_MS)
    const stop = watch(isShown, (shown) => {
      if (shown) end()
    })
    if (isShown()) end()
  })
}

function isInPlace(
  rows: readonly { readonly id: string }[],
  id: string,
  beforeId: string | null,
): boolean {
  const place = rows.findIndex((row) => row.id === id)
  return place !== -1 && (rows[place + 1]?.id ?? null) === beforeId
}

function inFront<Row extends { readonly id: string }>(
  rows: readonly Row[],
  id: string,
  beforeId: string | null,
): readonly Row[] {
  const moved = rows.find((row) => row.id === id)
  const others = rows.filter((row) => row.id !== id)
  if (moved === undefined) return rows
  const found = beforeId === null ? -1 : others.findIndex((row) => row.id === beforeId)
  const place = found === -1 ? others.length : found
  return [...others.slice(0, place), moved, ...others.slice(place)]
}

/**
 * Let the children of `list` be dragged by their handles while `isOn`.
 *
 * group: lists of the same name exchange children. order: the ids as they are rendered. onMove gets
 * the id of what was moved, the list it is in now, and the id of what it stands in front of (null:
 * last). The Escape key ends a drag without a move; so does a deletion of what is dragged.
 */
export function useDragging(
  list: Readonly<Ref<HTMLElement | null>>,
  isOn: Readonly<Ref<boolean>>,
  group: string,
  order: () => readonly string[],
  onMove: (id: string, target: HTMLElement, beforeId: string | null) => void,
): void {
  let sortable: Sortable | null = null
  let held: HTMLElement | null = null

  /** End the drag where it is: as if the pointer were let go, but nothing is moved. */
  function cancel(): void {
    held = null
    for (const name of ["pointerup", "mouseup", "touchend"]) {
      document.dispatchEvent(new Event(name))
    }
  }

  function onKey(event: KeyboardEvent): void {
    if (event.key === "Escape") cancel()
  }

  let watching: MutationObserver | null = null

  function release(): void {
    watching?.disconnect()
    removeEventListener("keydown", onKey)
  }

  function stop(): void {
    release()
    sortable?.destroy()
    sortable = null
  }

  watch(
    [list, isOn],
    async ([element, on], _previous, onCleanup) => {
      stop()
      if (element === null || !on) return
      const still = new AbortController()
      onCleanup(() => {
        still.abort()
      })
      // Only who arranges needs it; the keys work without.
      const { default: library } = await import("sortablejs")
      if (still.signal.aborted) return
      sortable = library.create(element, {
        group,
        handle: `.grip-${group}`,
        draggable: `[data-${group}]`,
        animation: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 160,
        ghostClass: "drag-ghost",
        chosenClass: "drag-held",
        // The browser's own dragging does not work by touch, and cannot be told from a link's.
        forceFallback: true,
        fallbackOnBody: true,
        scroll: true,
        onStart: ({ item }) => {
          held = item
          addEventListener("keydown", onKey)
          watching = new MutationObserver(() => {
            if (held?.isConnected === false) cancel()
          })
          watching.observe(document.body, { childList: true, subtree: true })
        },
        onEnd: ({ item, from, to }) => {
          release()
          const id = item.dataset[group]
          // Deleted meanwhile by another device: put back, it would stay for ever.
          if (id === undefined || !item.isConnected) return
          const next = nextDraggable(item, group)
          // Back to where Vue knows it; it comes to its new place by what the store says.
          from.append(item)
          putInOrder(from, group, order())
          if (held !== null) onMove(id, to, next)
        },
      })
    },
    { immediate: true, flush: "post" },
  )
  onScopeDispose(stop)
}

/** As they are rendered: what has come during a drag was put beside what was not in its place. */
function putInOrder(list: HTMLElement, group: string, ids: readonly string[]): void {
  const children = [...list.children] as HTMLElement[]
  const byId = new Map(children.map((each) => [each.dataset[group], each]))
  let next: HTMLElement | null = null
  for (const id of [...ids].reverse()) {
    const each = byId.get(id)
    if (each === undefined) continue
    if (each.nextElementSibling !== next) list.insertBefore(each, next)
    next = each
  }
}

function nextDraggable(item: HTMLElement, group: string): string | null {
  let next = item.nextElementSibling
  while (next !== null) {
    const id = next instanceof HTMLElement ? next.dataset[group] : undefined
    if (id !== undefined) return id
    next = next.nextElementSibling
  }
  return null
}
