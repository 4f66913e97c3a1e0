// What the services take from the machine; a test passes its own.

import { SERVER_NODE } from "../../sync/core/clock"

export interface World {
  /** Milliseconds since 1970 UTC, as this machine believes. */
  readonly wallMs: () => number
  /** n random bytes as hex. */
  readonly token: (bytes: number) => string
  /** Random, 0 <= chance < 1. */
  readonly chance: () => number
}

export const MACHINE: World = {
  wallMs: () => Date.now(),
  token: (bytes) =>
    Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join(""),
  chance: () => Math.random(),
}

/** A random UUID. Not `crypto.randomUUID`: a page without TLS does not have it. */
export function newId(world: World): string {
  const hex = Array.from(world.token(16))
  hex[12] = "4" // the version
  hex[16] = "89ab".charAt(parseInt(hex[16] ?? "0", 16) & 3) // the variant
  const text = hex.join("")
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-")
}

export function newNode(world: World): string {
  for (;;) {
    const node = world.token(8)
    if (node !== SERVER_NODE) return node
  }
}

/** What the wire takes as a name: no control characters, at most 120. */
export function label(text: string): string {
  const clean = text.replace(/\p{Surrogate}/gu, "\ufffd").replace(/[\x00-\x1f\x7f]/g, "").trim()
  return Array.from(clean).slice(0, 120).join("").trim()
}
