// Whether the warning about changes that only this device has is to be seen, as time goes by.

import { storeToRefs } from "pinia"
import { computed, onScopeDispose, type Ref, ref, shallowRef, watch } from "vue"

import { keep, kept } from "../../kept"
import { useHouseholdStore } from "../../stores/householdStore"
import { useWebSocketStore } from "../../stores/webSocketStore"
import { daysWaited, isAtRisk } from "../../sync/risk"
import type { Household, SyncStatus } from "../../types"

const LOOK_EVERY_MS = 60_000
const PUT_OFF = "storage_warning_put_off"

export interface StorageRisk {
  readonly isShown: Readonly<Ref<boolean>>
  /** Where they wait, if that is not the household that is shown. */
  readonly elsewhere: Readonly<Ref<Household | null>>
  /** For how many whole days the oldest change has been waiting. */
  readonly days: Readonly<Ref<number>>
  /** Say no more about it for a while, in no tab. */
  readonly putOff: () => void
}

/** What waits in one household. */
interface Waits {
  readonly household: string
  readonly oldestMs: number | null
  readonly status: SyncStatus
}

export function useStorageRisk(): StorageRisk {
  const { status, household, persistence, oldestMs } = storeToRefs(useWebSocketStore())
  const { households } = storeToRefs(useHouseholdStore())
  const nowMs = ref(Date.now())
  const waits = computed<readonly Waits[]>(() => [
    { household: household.value, oldestMs: oldestMs.value, status: status.value },
    ...households.value.flatMap(({ id, unshown }) =>
      unshown ? [{ household: id, ...unshown }] : [],
    ),
  ])
  const endangered = shallowRef<readonly Waits[]>([])
  // Of several the one that is shown: there its person can act at once.
  const worst = computed(() => endangered.value[0] ?? null)
  const days = computed(() => daysWaited(worst.value?.oldestMs ?? nowMs.value, nowMs.value))
  const elsewhere = computed(() => {
    const id = worst.value?.household
    if (id === household.value) return null
    return households.value.find((each) => each.id === id) ?? null
  })

  function decide(): void {
    nowMs.value = Date.now()
    const before = new Set(endangered.value.map((each) => each.household))
    endangered.value = waits.value.filter((each) =>
      isAtRisk({
        nowMs: nowMs.value,
        persistence: persistence.value,
        oldestMs: each.oldestMs,
        putOffMs: Number(kept(PUT_OFF)) || null,
        status: each.status,
        wasShown: before.has(each.household),
      }),
    )
  }

  function putOff(): void {
    keep(PUT_OFF, String(Date.now()))
    decide()
  }

  watch([waits, persistence], decide, { immediate: true })
  let timer: ReturnType<typeof setInterval> | undefined
  watch(
    () => waits.value.some((each) => each.oldestMs !== null),
    (isWaiting) => {
      clearInterval(timer)
      if (isWaiting) timer = setInterval(decide, LOOK_EVERY_MS)
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    clearInterval(timer)
  })
  return { isShown: computed(() => worst.value !== null), elsewhere, days, putOff }
}

/** Whether the app was opened as one that is installed: its storage is not cleared after a week. */
export function isInstalled(): boolean {
  const { standalone } = navigator as { readonly standalone?: boolean } // of WebKit on phones
  return standalone === true || matchMedia("(display-mode: standalone)").matches
}
