// The address and the household that is shown are the same, whichever of them changes.

import { watch } from "vue"

import { route, showHousehold } from "./route"
import { useHouseholdStore } from "./stores/householdStore"
import { useSessionStore } from "./stores/sessionStore"

/** Call once, inside the app. tell: gets what went wrong while switching. */
export function followHousehold(tell: (error: unknown) => void): void {
  const households = useHouseholdStore()
  const session = useSessionStore()

  const isOurs = () =>
    households.households.some((household) => household.id === route.value.household)

  // The address first: a link to a household opens that one, not the last one. Each of these is
  // looked at by itself: when another household is shown, the address follows, and does not lead.
  watch(
    [() => session.isReady, () => route.value.household, isOurs],
    ([isReady, wanted, isKnown]) => {
      if (!isReady || wanted === null || wanted === households.currentId) return
      if (isKnown) households.switchTo(wanted).catch(tell)
      // On a device that has nothing yet the server may still tell of it.
      else if (households.currentId !== null) showHousehold(households.currentId)
    },
    { immediate: true },
  )
  watch(
    [() => session.isReady, () => households.currentId],
    ([isReady, id], previous) => {
      const isFirst = previous[0] !== true
      if (!isReady || id === null || route.value.household === id) return
      if (isFirst && route.value.household !== null) return
      if (route.value.dialog?.kind === "new_household" && isFirst) return
      showHousehold(id)
    },
    { immediate: true },
  )
}
