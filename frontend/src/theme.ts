// Light or dark: as the device says, until a person chooses.

import { ref } from "vue"

import { keep, kept } from "./kept"

export const THEMES = ["system", "light", "dark"] as const
export type Theme = (typeof THEMES)[number]

const NAMES: Readonly<Record<Theme, string | null>> = { system: null, light: "paper", dark: "pine" }

export const theme = ref<Theme>(THEMES.find((each) => each === kept("theme")) ?? "system")

export function chooseTheme(chosen: Theme): void {
  theme.value = chosen
  keep("theme", chosen === "system" ? null : chosen)
  applyTheme()
}

export function applyTheme(): void {
  const name = NAMES[theme.value]
  if (name === null) delete document.documentElement.dataset["theme"]
  else document.documentElement.dataset["theme"] = name
}
