// The households of this person, and which one is shown.

import { defineStore } from "pinia"
import { computed, ref, shallowRef } from "vue"

import { services } from "../services/ports"
import type { Household } from "../types"

export const useHouseholdStore = defineStore("household", () => {
  const households = shallowRef<readonly Household[]>([])
  const currentId = ref<string | null>(null)

  const current = computed(
    () => households.value.find((household) => household.id === currentId.value) ?? null,
  )
  const role = computed(() => current.value?.role ?? null)
  const isReadOnly = computed(() => role.value === "viewer")

  return {
    households,
    currentId,
    current,
    role,
    isReadOnly,
    /** Make a household, offline too, and show it. Throws Trouble. */
    create: (name: string) => services().households.create(name),
    switchTo: (id: string) => services().households.switchTo(id),
    /** Owners only, and only with the server; one that was born here can be renamed offline. */
    rename: (id: string, name: string) => services().households.rename(id, name),
  }
})
