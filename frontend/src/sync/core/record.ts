// Records by name, where the names come from the wire: "constructor" and "__proto__" are names
// like any other, and neither found where nobody has put them nor lost.

/** The value that the record itself has under this name. */
export function at<Value>(
  record: Readonly<Record<string, Value>>,
  name: string,
): Value | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}

/** Set a value in a record that is still being built. */
export function put<Value>(record: Record<string, Value>, name: string, value: Value): void {
  if (name !== "__proto__") {
    record[name] = value
  } else {
    // An assignment would set the prototype.
    const property = { value, writable: true, enumerable: true, configurable: true }
    Object.defineProperty(record, name, property)
  }
}
