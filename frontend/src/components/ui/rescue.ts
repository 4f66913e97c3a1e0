// A form goes, and not by its person's wish: what stands in its fields is kept (rescued.ts).

import { rescued } from "../../rescued"

/** Keep what was typed into this form, line by line. */
export function rescue(form: HTMLElement): void {
  const typed = linesOf(form)
  rescued.value = [rescued.value, typed].filter((each) => each !== "").join("\n\n")
}

function linesOf(form: HTMLElement): string {
  const fields = form.querySelectorAll<HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>(
    "input:not([type=checkbox], [type=file]), textarea, select",
  )
  return [...fields]
    .map((field) => [field.labels?.[0]?.textContent.trim() ?? "", shownIn(field)] as const)
    .filter(([, value]) => value !== "")
    .map(([label, value]) => `${label}: ${value}`)
    .join("\n")
}

function shownIn(field: HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement): string {
  const isChoice = field instanceof HTMLSelectElement
  return (isChoice ? (field.selectedOptions[0]?.textContent ?? "") : field.value).trim()
}
