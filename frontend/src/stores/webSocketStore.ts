// The reactive picture of connection and sync. The services paint it; components look at it.

import { defineStore } from "pinia"
import { computed, ref, shallowRef } from "vue"

import { services } from "../services/ports"
import type {
  DeviceItem,
  Evicted,
  Json,
  OverruledItem,
  ParkedItem,
  PendingItem,
  Phase,
  RefusedItem,
  StoragePersistence,
  SyncOutcome,
  SyncStatus,
} from "../types"

/** Before anything is known. */
export const UNKNOWN: SyncStatus = { kind: "connecting", count: 0, isAmber: false, isSettled: false }

export const useWebSocketStore = defineStore("webSocket", () => {
  const status = shallowRef<SyncStatus>(UNKNOWN)
  /** The id of the household that all of this is about; "" if none is open. */
  const household = ref("")
  const phase = ref<Phase>("offline")
  /** When "up to date" was last true with evidence; null: never on this device. */
  const lastSuccessMs = ref<number | null>(null)
  /** The server's latest sentence about trouble, for the panel; "" if all is well. */
  const lastError = ref("")

  /** The oldest of them; pendingCount says how many there are. */
  const pending = shallowRef<readonly PendingItem[]>([])
  const pendingCount = ref(0)
  const refused = shallowRef<readonly RefusedItem[]>([])
  const overruled = shallowRef<readonly OverruledItem[]>([])
  const parked = shallowRef<readonly ParkedItem[]>([])
  const devices = shallowRef<readonly DeviceItem[]>([])

  /** When the oldest change was made that only this device has, by its own clock; null: none. */
  const oldestMs = ref<number | null>(null)

  /** This device's clock minus the server's, as last measured. */
  const clockOffMs = ref(0)

  const persistence = ref<StoragePersistence>("asking")
  /** Whether this tab is the one that talks to the server. */
  const isLeader = ref(false)
  /** What is synced comes back from the server; what is not is lost. null: nothing was deleted. */
  const evicted = shallowRef<Evicted | null>(null)
  const isSyncing = ref(false)

  const needsYou = computed(() => refused.value.length + overruled.value.length)

  /** Sync by hand. Always ends in an answer. */
  async function syncNow(): Promise<SyncOutcome> {
    isSyncing.value = true
    try {
      return await services().sync.syncNow()
    } finally {
      isSyncing.value = false
    }
  }

  async function refreshDevices(): Promise<void> {
    devices.value = await services().sync.devices()
  }

  return {
    status,
    household,
    phase,
    lastSuccessMs,
    lastError,
    pending,
    pendingCount,
    refused,
    overruled,
    parked,
    devices,
    oldestMs,
    clockOffMs,
    persistence,
    isLeader,
    evicted,
    isSyncing,
    needsYou,
    syncNow,
    refreshDevices,
    discard: (local: number) => services().sync.discard(local),
    discardUnsendable: () => services().sync.discardUnsendable(),
    editRefused: (local: number, fields: Readonly<Record<string, Json>>) =>
      services().sync.editRefused(local, fields),
    useMine: (conflictId: string) => services().sync.useMine(conflictId),
    dismiss: (conflictId: string) => services().sync.dismiss(conflictId),
    dismissEviction: () => {
      evicted.value = null
    },
    diagnostics: () => services().sync.diagnostics(),
    exportData: () => services().sync.exportData(),
  }
})
