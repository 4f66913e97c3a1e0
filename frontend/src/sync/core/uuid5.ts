// Names made into UUIDs (RFC 9562, version 5). Synchronous and without `crypto`, because the
// core has no I/O and `crypto.subtle` answers later.

import { utf8Length } from "./text"

/** namespace: a UUID. name: any text, as UTF-8. */
export function uuid5(namespace: string, name: string): string {
  const hash = sha1([...hexToBytes(namespace.replaceAll("-", "")), ...textToBytes(name)])
  const bytes = hash.slice(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x50 // the version
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80 // the variant
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")
  return [8, 12, 16, 20, 32].map((end, n) => hex.slice([0, 8, 12, 16, 20][n], end)).join("-")
}

function hexToBytes(hex: string): number[] {
  return Array.from({ length: hex.length / 2 }, (_, n) => parseInt(hex.slice(2 * n, 2 * n + 2), 16))
}

function textToBytes(text: string): number[] {
  const bytes: number[] = []
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0
    const length = utf8Length(character)
    if (length === 1) {
      bytes.push(point)
      continue
    }
    bytes.push(([0xc0, 0xe0, 0xf0][length - 2] ?? 0) | (point >> (6 * (length - 1))))
    for (let n = length - 2; n >= 0; n--) bytes.push(0x80 | ((point >> (6 * n)) & 0x3f))
  }
  return bytes
}

/** FIPS 180-4. For names, not for secrets. */
function sha1(message: readonly number[]): number[] {
  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]
  const padded = [...message, 0x80]
  while (padded.length % 64 !== 56) padded.push(0)
  for (let shift = 56; shift >= 0; shift -= 8) {
    padded.push(Math.floor((message.length * 8) / 2 ** shift) % 256)
  }
  for (let start = 0; start < padded.length; start += 64) {
    mix(state, wordsOf(padded.slice(start, start + 64)))
  }
  return state.flatMap((word) => [24, 16, 8, 0].map((shift) => (word >>> shift) & 0xff))
}

function wordsOf(block: readonly number[]): number[] {
  const words = Array.from({ length: 16 }, (_, n) =>
    block.slice(4 * n, 4 * n + 4).reduce((word, byte) => (word << 8) | byte, 0),
  )
  for (let n = 16; n < 80; n++) {
    const mixed = [3, 8, 14, 16].reduce((word, back) => word ^ (words[n - back] ?? 0), 0)
    words.push(rotated(mixed, 1))
  }
  return words
}

function mix(state: number[], words: readonly number[]): void {
  let [a, b, c, d, e] = state as [number, number, number, number, number]
  words.forEach((word, n) => {
    const [f, k] =
      n < 20
        ? [(b & c) | (~b & d), 0x5a827999]
        : n < 40
          ? [b ^ c ^ d, 0x6ed9eba1]
          : n < 60
            ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
            : [b ^ c ^ d, 0xca62c1d6]
    const next = (rotated(a, 5) + f + e + k + word) | 0
    ;[a, b, c, d, e] = [next, a, rotated(b, 30), c, d]
  })
  ;[a, b, c, d, e].forEach((word, n) => (state[n] = ((state[n] ?? 0) + word) | 0))
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
