// Stamps: when a value was written, so that everybody agrees who wrote last.
//
// A stamp is a hybrid logical clock value (Kulkarni et al. 2014, "Logical Physical Clocks"):
// 48 bits of milliseconds since 1970 UTC, a 16-bit counter, a 64-bit node. Its text form is
// fixed-width lowercase hex
//
//     MMMMMMMMMMMM-CCCC-NNNNNNNNNNNNNNNN
//
// so that text order is stamp order in Python, JavaScript and PostgreSQL (collation "C").
// Everything outside this module compares stamps as text.
//
// All time is passed in; nothing here reads a clock.

export const COUNTER_MAX = 0xffff
export const MS_MAX = 0xffff_ffff_ffff
export const SERVER_NODE = "0".repeat(16)
/** Sorts before every stamp: "never written". */
export const NO_STAMP = ""

const STAMP = /^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$/

/** A stamp in parts. */
export interface Stamp {
  readonly ms: number
  readonly counter: number
  readonly node: string
}

export function stampToText(stamp: Stamp): string {
  return `${hex(stamp.ms, 12)}-${hex(stamp.counter, 4)}-${stamp.node}`
}

/** Parse the text form. Throws RangeError for anything else, never a zero stamp. */
export function textToStamp(text: unknown): Stamp {
  if (!isStamp(text)) throw new RangeError("not a stamp")
  return { ms: msOf(text), counter: parseInt(text.slice(13, 17), 16), node: nodeOf(text) }
}

export function isStamp(text: unknown): text is string {
  return typeof text === "string" && STAMP.test(text)
}

/** The node of a stamp in text form ("" for NO_STAMP). */
export function nodeOf(text: string): string {
  return text.slice(18)
}

/** The milliseconds since 1970 UTC of a stamp in text form. */
export function msOf(text: string): number {
  return parseInt(text.slice(0, 12), 16)
}

/**
 * The first stamp of `node` that is not before now and later than `after`.
 *
 * after: a stamp in text form, or NO_STAMP.
 * nowMs: wall clock, milliseconds since 1970, UTC; clamped to what a stamp can hold.
 *
 * A full counter moves the millisecond on by one, so it never fails. (Only at the last
 * millisecond of the year 10889 there is nothing later; the last stamp is repeated.)
 */
export function nextStamp(after: string, nowMs: number, node: string): string {
  const now = clampMs(nowMs)
  if (after === NO_STAMP || now > msOf(after)) return stampToText({ ms: now, counter: 0, node })
  const { ms, counter } = textToStamp(after)
  if (counter < COUNTER_MAX) return stampToText({ ms, counter: counter + 1, node })
  if (ms < MS_MAX) return stampToText({ ms: ms + 1, counter: 0, node })
  return stampToText({ ms, counter, node })
}

/** A moment that a stamp can hold: whole milliseconds, from 1970 on. */
export function clampMs(nowMs: number): number {
  // Written so that NaN counts as 1970, too: a stamp must never come out misshapen.
  return nowMs > 0 ? Math.min(Math.floor(nowMs), MS_MAX) : 0
}

/** The later of two stamps. */
export function later(a: string, b: string): string {
  return a > b ? a : b
}

/** The newest of some stamps; NO_STAMP of none. */
export function newest(stamps: Iterable<string>): string {
  let found = NO_STAMP
  for (const stamp of stamps) found = later(found, stamp)
  return found
}

/**
 * One identity's clock: the newest stamp it has given or heard, and its node.
 *
 * The holder persists `last` together with whatever it stamped.
 */
export interface Clock {
  readonly node: string
  readonly last: string
}

/** The clock after giving a stamp, its new `last`: later than all before and than `after`. */
export function tick(clock: Clock, nowMs: number, after: string = NO_STAMP): Clock {
  return { ...clock, last: nextStamp(later(clock.last, after), nowMs, clock.node) }
}

/** Hear a batch: the clock moves once, to its maximum. */
export function observe(clock: Clock, heard: Iterable<string>): Clock {
  return { ...clock, last: later(clock.last, newest(heard)) }
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0")
}
