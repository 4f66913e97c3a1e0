// The types of messages.ts against the vectors: the compiler answers. So a key that only one
// language has fails here, with its name.

import ts from "typescript"
import { expect, test } from "vitest"

import { cases, title } from "./testing/vectors"

const CORE = new URL(".", import.meta.url).pathname
const OPTIONS: ts.CompilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.es5.d.ts"],
  types: [],
  noEmit: true,
}

interface Told {
  readonly of: string
  readonly type: "UpFrame" | "DownFrame"
  readonly frame: unknown
}

/** What the compiler says against each frame being of its type, after the frame's title. */
function objections(told: readonly Told[]): readonly string[] {
  const path = `${CORE}frames-of-the-vectors.ts`
  const source = [
    'import type { DownFrame, UpFrame } from "./messages"',
    ...told.map(({ type, frame }, n) => `export const f${n}: ${type} = ${JSON.stringify(frame)}`),
  ].join("\n")
  const host = ts.createCompilerHost(OPTIONS)
  const [readFile, fileExists] = [host.readFile.bind(host), host.fileExists.bind(host)]
  host.readFile = (name) => (name === path ? source : readFile(name))
  host.fileExists = (name) => name === path || fileExists(name)
  const program = ts.createProgram([path], OPTIONS, host)
  return ts.getPreEmitDiagnostics(program).map(({ messageText, file, start = 0 }) => {
    const line = file?.getLineAndCharacterOfPosition(start).line ?? 0
    const said = ts.flattenDiagnosticMessageText(messageText, " ")
    return `${told[line - 1]?.of ?? file?.fileName ?? "The compiler"}: ${said}`
  })
}

test("the types fit every frame of the vectors, and no frame with a key too many or too few", () => {
  interface Case {
    readonly why?: string
    readonly name?: string
  }
  const up = cases<Case & { frame: unknown }>("frames", "up")
  const down = cases<Case & { frame: unknown }>("frames", "down")
  const newer = cases<Case & { read: unknown }>("frames", "downNewer")
  const talks = cases<Case & { frames: readonly { send: unknown }[] }>("frames", "conversations")
  const told: Told[] = [
    ...up.map((each) => ({ of: title(each), type: "UpFrame" as const, frame: each.frame })),
    ...talks.flatMap((each) =>
      each.frames.map(({ send }) => ({ of: title(each), type: "UpFrame" as const, frame: send })),
    ),
    ...down.map((each) => ({ of: title(each), type: "DownFrame" as const, frame: each.frame })),
    ...newer.map((each) => ({ of: title(each), type: "DownFrame" as const, frame: each.read })),
    { of: "too many", type: "DownFrame", frame: { type: "news", head: 1, mood: "good" } },
    { of: "too few", type: "UpFrame", frame: { type: "hello", device: "" } },
  ]
  expect(objections(told)).toEqual([
    expect.stringMatching(/^too many: .*mood.* does not exist/),
    expect.stringMatching(/^too few: .*'node' is missing/),
  ])
})
