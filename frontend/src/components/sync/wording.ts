// Each state in words, with an icon and a tone. Words first, then the icon, only then a colour.

import { t } from "../../i18n"

import { useFormat } from "../../format"
import type { FailureReason, SyncOutcome, SyncStatus } from "../../types"
import type { IconName } from "../ui/icons"

/** plain: nothing to do; good: evidence that all is well; amber: somebody is needed. */
export type Tone = "plain" | "good" | "amber" | "red"

export interface Wording {
  readonly text: string
  readonly icon: IconName
  readonly tone: Tone
}

const ICONS: Readonly<Record<SyncStatus["kind"], IconName>> = {
  cannot_save: "stop",
  update_needed: "gift",
  signed_out: "key",
  blocked: "eye",
  needs_you: "hand",
  unreachable: "cloud_off",
  offline_pending: "saved_here",
  offline: "cloud_off",
  connecting: "turn",
  loading: "download",
  syncing: "turn",
  waiting: "clock",
  up_to_date: "check",
}

const TONES: Readonly<Record<SyncStatus["kind"], Tone>> = {
  cannot_save: "red",
  update_needed: "amber",
  signed_out: "plain",
  blocked: "plain",
  needs_you: "amber",
  unreachable: "plain",
  offline_pending: "plain",
  offline: "plain",
  connecting: "plain",
  loading: "plain",
  syncing: "plain",
  waiting: "plain",
  up_to_date: "good",
}

const PASSING: readonly SyncStatus["kind"][] = ["connecting", "syncing", "loading"]

/** States that last are read out; the others pass by themselves and are no interruption worth. */
export function isWorthSaying({ kind }: SyncStatus): boolean {
  return !PASSING.includes(kind)
}

export function useWording() {
  const format = useFormat()

  /** nowMs: by the page's own clock, as `retryAtMs`. */
  function textOf(status: SyncStatus, nowMs: number): string {
    switch (status.kind) {
      case "cannot_save":
        return t(`sync.state.cannot_save.${status.reason}`)
      case "update_needed":
        return t(status.by === "tab" ? "sync.state.update_tab" : "sync.state.update_needed")
      case "signed_out":
        return status.count === 0
          ? t("sync.state.signed_out")
          : t("sync.state.signed_out_count", { n: status.count }, status.count)
      case "blocked":
        if (status.reason !== "viewer") return t(`sync.state.blocked.${status.reason}`)
        return status.count === 0
          ? t("sync.state.blocked.viewer_none")
          : t("sync.state.blocked.viewer", { n: status.count }, status.count)
      case "needs_you":
        return t("sync.state.needs_you", { n: status.count }, status.count)
      case "unreachable": {
        const seconds = Math.ceil((status.retryAtMs - nowMs) / 1000)
        return seconds > 0
          ? t("sync.state.unreachable", { seconds })
          : t("sync.state.unreachable_now")
      }
      case "connecting":
        return status.count === 0
          ? t("sync.state.connecting")
          : t("sync.state.connecting_count", { n: status.count }, status.count)
      case "offline_pending":
        return t("sync.state.offline_pending", { n: status.count }, status.count)
      case "offline":
        return offlineText(status.asOfMs)
      case "loading":
        return status.percent === null
          ? t("sync.state.loading_unknown")
          : t("sync.state.loading", { percent: status.percent })
      case "syncing":
        return status.left === 0
          ? t("sync.state.syncing_none")
          : t("sync.state.syncing", { n: status.left })
      case "waiting":
        return t("sync.state.waiting", { n: status.count }, status.count)
      case "up_to_date":
        return t("sync.state.up_to_date")
    }
  }

  function offlineText(asOfMs: number | null): string {
    if (asOfMs === null) return t("sync.state.offline_never")
    const time = format.value.time(asOfMs)
    return format.value.isToday(asOfMs)
      ? t("sync.state.offline", { time })
      : t("sync.state.offline_day", { day: format.value.day(asOfMs), time })
  }

  function wordingOf(status: SyncStatus, nowMs: number): Wording {
    const tone = TONES[status.kind]
    return {
      text: textOf(status, nowMs),
      icon: ICONS[status.kind],
      tone: status.isAmber && tone !== "red" ? "amber" : tone,
    }
  }

  /** What is safe, and what to do. */
  function explanationOf(status: SyncStatus): string {
    switch (status.kind) {
      case "cannot_save":
        return t(`sync.explain.cannot_save.${status.reason}`)
      case "update_needed":
        return t(status.by === "tab" ? "sync.explain.update_tab" : "sync.explain.update_needed")
      case "blocked":
        return t(`sync.explain.blocked.${status.reason}`)
      default:
        return t(`sync.explain.${status.kind}`)
    }
  }

  function outcomeOf(outcome: SyncOutcome): Wording {
    if (outcome.kind === "failed") {
      const tone = outcome.reason === "cannot_save" ? "red" : "plain"
      return { text: failureOf(outcome.reason), icon: "cloud_off", tone }
    }
    const { sent, received } = outcome
    const text =
      sent + received === 0
        ? t("sync.outcome.checked")
        : t("sync.outcome.exchanged", { sent, received })
    return { text, icon: "check", tone: "good" }
  }

  const failureOf = (reason: FailureReason) => t(`sync.outcome.failed.${reason}`)

  return { wordingOf, explanationOf, outcomeOf }
}
