// Reading JSON of which nothing is known: small readers, put together to one for each frame.
// A reader returns the value in the shape that its type promises, or throws BadFrame.

import { BadFrame } from "./errors"
import type { Json } from "./messages"
import { at, put } from "./record"

export type Reader<Value> = (value: unknown, place: string) => Value

type OptionalKey<Shape> = {
  [Key in keyof Shape]-?: undefined extends Shape[Key] ? Key : never
}[keyof Shape]
type Required<Shape> = {
  readonly [Key in Exclude<keyof Shape, OptionalKey<Shape>>]: Reader<Shape[Key]>
}
type Optional<Shape> = {
  readonly [Key in OptionalKey<Shape>]-?: Reader<Exclude<Shape[Key], undefined>>
}

/**
 * An object with these keys. Keys that are not named are left out: a newer server may say more.
 *
 * A key that the type has and this list lacks does not compile.
 */
export function object<Shape extends object>(
  required: Required<Shape>,
  ...[optional]: object extends Optional<Shape> ? [] : [Optional<Shape>]
): Reader<Shape> {
  const known = Object.entries<Reader<unknown>>({ ...required, ...optional })
  return (value, place) => {
    if (!isRecord(value)) throw bad(place, "an object")
    const read: Record<string, unknown> = {}
    for (const [key, reader] of known) {
      if (Object.hasOwn(value, key)) read[key] = reader(value[key], `${place}.${key}`)
      else if (Object.hasOwn(required, key)) throw bad(`${place}.${key}`, "something")
    }
    return read as Shape
  }
}

export function list<Value>(reader: Reader<Value>): Reader<readonly Value[]> {
  return (value, place) => {
    if (!Array.isArray(value)) throw bad(place, "a list")
    return value.map((each, n) => reader(each, `${place}[${n}]`))
  }
}

/** An object whose keys are anybody's. */
export function record<Value>(
  reader: Reader<Value>,
  most = Infinity,
): Reader<Readonly<Record<string, Value>>> {
  return (value, place) => {
    if (!isRecord(value)) throw bad(place, "an object")
    const names = Object.keys(value)
    if (names.length > most) throw bad(place, `at most ${most} keys`)
    const read: Record<string, Value> = {}
    for (const name of names) put(read, name, reader(at(value, name), `${place}.${name}`))
    return read
  }
}

export function text(pattern?: RegExp, most = Infinity): Reader<string> {
  return (value, place) => {
    if (typeof value !== "string" || value.length > most || pattern?.test(value) === false) {
      throw bad(place, `text${pattern === undefined ? "" : ` like ${pattern.source}`}`)
    }
    return value
  }
}

/** A whole number that JavaScript can count. */
export function integer(least: number = -Number.MAX_SAFE_INTEGER): Reader<number> {
  return (value, place) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least) {
      throw bad(place, "a whole number")
    }
    return value
  }
}

export const truth: Reader<boolean> = (value, place) => {
  if (typeof value !== "boolean") throw bad(place, "true or false")
  return value
}

export function oneOf<const Choice extends string>(...choices: readonly Choice[]): Reader<Choice> {
  return (value, place) => {
    const found = choices.find((each) => each === value)
    if (found === undefined) throw bad(place, `one of ${choices.join(", ")}`)
    return found
  }
}

export function orNull<Value>(reader: Reader<Value>): Reader<Value | null> {
  return (value, place) => (value === null ? null : reader(value, place))
}

/** Whatever JSON holds; what comes out of JSON.parse is nothing else. */
export const json: Reader<Json> = (value) => value as Json

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function bad(place: string, expected: string): BadFrame {
  // The place comes from the wire and may be long.
  const where = place.slice(0, 200)
  return new BadFrame(
    `The server's frame is not part of the protocol: ${where} is not ${expected}.`,
  )
}
