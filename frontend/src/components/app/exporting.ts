// Everything that this device keeps of the household that is shown, as a file.

import { t } from "../../i18n"
import { notify } from "../../notices"
import { useHouseholdStore } from "../../stores/householdStore"
import { useWebSocketStore } from "../../stores/webSocketStore"
import { useTroubles } from "../../troubles"
import { saveFile } from "./saveFile"

/** The verb of every button that exports; says how it went. */
export function useExport(): () => Promise<void> {
  const sync = useWebSocketStore()
  const households = useHouseholdStore()
  const { sentenceOf } = useTroubles()
  return async () => {
    try {
      const name = households.current?.name ?? "FinWise"
      saveFile(await sync.exportData(), `FinWise ${name}.json`)
      notify(t("sync.panel.exported"))
    } catch (error) {
      notify(t("sync.panel.export_failed", { reason: sentenceOf(error) }), { tone: "trouble" })
    }
  }
}
