// Who is signed in, as far as this device can tell.

import { defineStore } from "pinia"
import { computed, ref, shallowRef } from "vue"

import { services } from "../services/ports"
import type { User } from "../types"

export const useSessionStore = defineStore("session", () => {
  /** Whose data is shown: also offline, and also after the session has ended. */
  const user = shallowRef<User | null>(null)
  /** What the server said last; null: it was not asked yet, or cannot be. */
  const isSignedIn = ref<boolean | null>(null)
  /**
   * Somebody else has signed in than the one whose data is shown here. His data comes up after
   * a reload; what is kept of `user` stays, and is never sent under the other's name.
   */
  const other = shallowRef<User | null>(null)
  /** Whose data was shown before somebody else came, and how many of his changes wait here. */
  const leftBehind = shallowRef<{ readonly owner: User; readonly pending: number } | null>(null)
  const signInUrl = ref("/accounts/login/")
  const accountUrl = ref("/accounts/")
  /** Whether the session and the households have been looked up on this device. */
  const isReady = ref(false)

  const isKnownHere = computed(() => user.value !== null)

  return {
    user,
    isSignedIn,
    other,
    leftBehind,
    signInUrl,
    accountUrl,
    isReady,
    isKnownHere,
    refresh: () => services().session.refresh(),
    /** End the session. What is kept on this device stays: pendingCount says how much is safe. */
    signOut: () => services().session.signOut(),
  }
})
