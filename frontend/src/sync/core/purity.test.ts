// The core runs anywhere: without a page, sockets, a store, a clock or chance.
//
// tsconfig.core.json gives it the language alone, so most of that is not even a name there. This
// looks for the rest, and for what a cast could bring back.

import { readFileSync, readdirSync } from "node:fs"
import ts from "typescript"
import { describe, expect, test } from "vitest"

const CORE = new URL(".", import.meta.url)
const SOURCES = readdirSync(CORE).filter(
  (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
)

const BANNED = new Set(
  `Date Temporal performance random crypto fetch XMLHttpRequest WebSocket EventSource
   BroadcastChannel indexedDB localStorage sessionStorage caches navigator window document self
   globalThis global process console setTimeout setInterval setImmediate queueMicrotask
   requestAnimationFrame requestIdleCallback Promise async await import require eval Function
   Atomics SharedArrayBuffer WeakRef FinalizationRegistry Intl toLocaleString localeCompare
   toLocaleUpperCase toLocaleLowerCase`.split(/\s+/),
)

function parse(file: string): ts.SourceFile {
  const text = readFileSync(new URL(file, CORE), "utf8")
  return ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true)
}

function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node
  for (const child of node.getChildren()) yield* nodesOf(child)
}

describe.each(SOURCES)("%s", (file) => {
  const source = parse(file)
  const place = (node: ts.Node) =>
    `${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${node.getText()}`

  test("imports nothing from outside the core", () => {
    const imported = ts.preProcessFile(source.text).importedFiles.map(({ fileName }) => fileName)
    for (const name of imported) expect(SOURCES).toContain(name.replace(/^\.\//, "") + ".ts")
  })

  test("names nothing that reads a clock, rolls dice, waits or talks to anybody", () => {
    const found = [...nodesOf(source)].filter(
      (node) =>
        (ts.isIdentifier(node) && BANNED.has(node.text)) ||
        ts.isAwaitExpression(node) ||
        node.kind === ts.SyntaxKind.AsyncKeyword ||
        (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword),
    )
    expect(found.map(place)).toEqual([])
  })

  test("keeps no state between calls", () => {
    const variables = source.statements.filter(ts.isVariableStatement)
    const changing = variables.filter(
      ({ declarationList }) => !(declarationList.flags & ts.NodeFlags.Const),
    )
    expect(changing.map(place)).toEqual([])
  })

  test("has functions, not classes, but for what is thrown", () => {
    const classes = [...nodesOf(source)].filter(ts.isClassLike)
    expect(classes.map(({ name }) => name?.text)).toEqual(file === "errors.ts" ? ["BadFrame"] : [])
  })
})

test("the core is more than this test's imagination", () => {
  expect(SOURCES).toEqual(
    expect.arrayContaining(["clock.ts", "merge.ts", "outbox.ts", "session.ts"]),
  )
})
