// The address and the household that is shown are the same, whichever of them changes.

import { watch } from "vue"

import { route, showHousehold } from "./route"
import { useHouseholdStore } from "./stores/householdStore"
import { useSessionStore } from "./stores/sessionStore"

/** Call once, inside the app. tell: gets what went wrong while switching. */
export function followHousehold(tell: (error: unknown) => void): void {
  const households = useHouseholdStore()
  const session = useSessionStore()

  // The address first: a link to a household opens that one, not the last one.
  watch(
    () => [session.isReady, route.value.household, households.households] as const,
    ([isReady, wanted]) => {
      if (!isReady || wanted === null || wanted === households.currentId) return
      const isOurs = households.households.some((household) => household.id === wanted)
      if (isOurs) households.switchTo(wanted).catch(tell)
      else showHousehold(households.currentId)
    },
    { immediate: true },
  )
  watch(
    () => [session.isReady, households.currentId] as const,
    ([isReady, id], previous) => {
      const isFirst = previous?.[0] !== true
      if (!isReady || id === null || route.value.household === id) return
      if (isFirst && route.value.household !== null) return
      if (route.value.dialog?.kind === "new_household" && isFirst) return
      showHousehold(id)
    },
    { immediate: true },
  )
}
