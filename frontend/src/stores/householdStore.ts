// The households of this person, and which one is shown.

import { defineStore } from "pinia"
import { computed, ref, shallowRef } from "vue"

import { services } from "../services/ports"
import type { Household } from "../types"
import { useWebSocketStore } from "./webSocketStore"

export const useHouseholdStore = defineStore("household", () => {
  const sync = useWebSocketStore()
  const households = shallowRef<readonly Household[]>([])
  const currentId = ref<string | null>(null)

  const current = computed(
    () => households.value.find((household) => household.id === currentId.value) ?? null,
  )
  const role = computed(() => current.value?.role ?? null)
  /** The server says that this person does not belong to the current household any more. */
  const isOut = computed(() => {
    const { status } = sync
    return status.kind === "blocked" && status.reason === "not_yours"
  })
  /** Who may only look, or is no member any more, makes nothing that would never be sent. */
  const isReadOnly = computed(() => role.value === "viewer" || isOut.value)

  return {
    households,
    currentId,
    current,
    role,
    isOut,
    isReadOnly,
    /** Make a household, offline too, and show it. Throws Trouble. */
    create: (name: string) => services().households.create(name),
    switchTo: (id: string) => services().households.switchTo(id),
    /** Owners only, and only with the server; one that was born here can be renamed offline. */
    rename: (id: string, name: string) => services().households.rename(id, name),
    /** Delete what this device keeps of a household, unsent changes included. */
    remove: (id: string) => services().households.remove(id),
  }
})
