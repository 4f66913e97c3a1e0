// Text as the protocol counts it: by code points and by bytes of UTF-8, never by the UTF-16
// units that JavaScript compares and counts.

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  // Where both have the same pair of surrogates, they have the same second half, too.
  for (let place = 0; ; place++) {
    const x = a.codePointAt(place) ?? -1
    const y = b.codePointAt(place) ?? -1
    if (x !== y || x === -1) return x - y
  }
}

/** How many characters (code points) a text has. */
export function textLength(text: string): number {
  let length = text.length
  for (let place = 0; place < text.length; place++) {
    if ((text.codePointAt(place) ?? 0) > 0xffff) {
      length--
      place++
    }
  }
  return length
}

/** How many bytes a text takes in UTF-8; a lone surrogate counts as the three of U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = 0
  for (let place = 0; place < text.length; place++) {
    const point = text.codePointAt(place) ?? 0
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
    if (point > 0xffff) place++
  }
  return bytes
}

/** How many bytes a value takes on the wire. */
export function jsonLength(value: unknown): number {
  return utf8Length(JSON.stringify(value))
}
