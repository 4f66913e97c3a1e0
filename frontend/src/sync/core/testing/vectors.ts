// The vectors: cases in JSON that every implementation of the protocol must answer alike.

import { existsSync, readFileSync, readdirSync } from "node:fs"

/** Those of the protocol, and those of devices; a file may move from one to the other. */
const FOLDERS = [
  new URL("../../../../../docs/protocol/vectors/", import.meta.url),
  new URL("../vectors/", import.meta.url),
].filter(existsSync)

/** Where each file lies, by its name without ".json". */
export const FILES: ReadonlyMap<string, URL> = new Map(
  FOLDERS.flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith(".json"))
      .map((file) => [file.slice(0, -".json".length), new URL(file, folder)]),
  ),
)

const read = new Map<string, Readonly<Record<string, unknown>>>()

/** The contents of one file, with its long values written out. */
export function vectors(name: string): Readonly<Record<string, unknown>> {
  const known = read.get(name)
  if (known !== undefined) return known
  const file = FILES.get(name)
  if (file === undefined) throw new Error(`There are no vectors ${name}.json`)
  const told = writtenOut(JSON.parse(readFileSync(file, "utf8"))) as Record<string, unknown>
  read.set(name, told)
  return told
}

/** The cases of one group. vectors.test.ts looks for these calls: name and group are literals. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- what a file holds
export function cases<Case>(name: string, group: string): readonly Case[] {
  return vectors(name)[group] as readonly Case[]
}

/** What a failing case is called. */
export function title(each: { readonly why?: string; readonly name?: string }): string {
  const text = each.why ?? each.name ?? JSON.stringify(each)
  return text.slice(0, 80)
}

/** {"repeat": [text, times]} and {"join": [parts]} stand for long text. */
function writtenOut(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(writtenOut)
  if (typeof value !== "object" || value === null) return value
  const [[key, inner] = []] = Object.entries(value)
  if (Object.keys(value).length === 1 && Array.isArray(inner)) {
    if (key === "repeat") return (inner[0] as string).repeat(inner[1] as number)
    if (key === "join") return inner.map(writtenOut).join("")
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, writtenOut(each)]))
}
