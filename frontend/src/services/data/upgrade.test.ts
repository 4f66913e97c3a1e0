// A database as an older version of the app has left it opens with this one: its queue is sent,
// and nothing of it is lost. (A11)

import Dexie from "dexie"
import { afterEach, beforeEach, expect, test } from "vitest"

import { BUILT_IN } from "../../sync/entities"
import { OpenHousehold, type Surroundings } from "../OpenHousehold"
import { closePage, openPage, rest, until } from "../testing/page"
import { HouseholdServer } from "../testing/server"
import { serving } from "../testing/serving"
import { chanceOf } from "../testing/world"
import { ReplicaDatabase } from "./database"

/** A store: the path of its keys, whether the database gives them, and its indexes by name. */
interface Store {
  readonly key: string | readonly string[]
  readonly isNumbered?: true
  readonly indexes?: Readonly<Record<string, readonly [path: string | readonly string[], isUnique: boolean]>>
}

/** Version 1 as it was released; Dexie calls it 10. A phone that comes back after a year has this. */
const VERSION_1: Readonly<Record<string, Store>> = {
  base: { key: ["entity", "id"], indexes: { kept: ["kept", false] } },
  dismissed: { key: "id" },
  heal: {
    key: "version",
    isNumbered: true,
    indexes: {
      "[entity+id+isParked]": [["entity", "id", "isParked"], true],
      isParked: ["isParked", false],
    },
  },
  notes: { key: "key" },
  outbox: {
    key: "local",
    isNumbered: true,
    indexes: {
      "[entity+rowId]": [["entity", "rowId"], false],
      "[state+local]": [["state", "local"], false],
      number: ["number", true],
      stamp: ["stamp", false],
    },
  },
  staging: { key: ["entity", "id"] },
}

const NOW_MS = 1_700_000_000_000
const NODE = "a1".repeat(8)
const BANK = "11111111-1111-4111-8111-111111111111"
const TRAIN = "22222222-2222-4222-8222-222222222222"
const REFUSED = "33333333-3333-4333-8333-333333333333"

const stamp = (n: number) => `${(NOW_MS + n).toString(16).padStart(12, "0")}-0000-${NODE}`

/** The notes of the device: none of those that later versions keep beside these. */
const DEVICE = {
  user: "anna",
  household: "h",
  householdName: null,
  device: "44444444-4444-4444-8444-444444444444",
  node: NODE,
  formerNodes: [],
  name: "Chrome",
  app: "finwise-web",
  clock: stamp(5),
  offsetMs: 0,
  offsetSamples: [],
  nextNumber: 2,
  cursor: null,
  readSeq: 0,
  isWalking: false,
  reset: null,
  isHealOpen: false,
  role: "owner",
  version: "0",
  lease: "",
  revision: 7,
  checkedMs: null,
}

const entry = (n: number, entity: string, rowId: string, kind: string, fields: object) => ({
  entity,
  rowId,
  kind,
  stamp: stamp(n),
  fields,
  seen: {},
  madeMs: NOW_MS + n,
  number: null as number | null,
  wasSent: false,
  state: "open",
  code: "",
  field: "",
  message: "",
})

/** Something in every state: sent without an answer, never sent, refused, parked. */
const QUEUE = [
  { ...entry(1, "account_group", BANK, "create", { name: "Bank" }), number: 1, wasSent: true },
  entry(2, "account", TRAIN, "create", { name: "Im Zug", accountGroupId: BANK, balance: "12.5" }),
  { ...entry(3, "account_group", REFUSED, "create", { name: "?" }), state: "refused", code: "invalid" },
  { ...entry(4, "account_group", BANK, "edit", { sortOrder: 3 }), wasSent: true, state: "parked" },
  entry(5, "account_group", BANK, "edit", { name: "Sparkasse" }),
]

let name: string
let open: OpenHousehold | null

beforeEach(() => {
  name = `upgrade-${Math.random().toString(36).slice(2)}`
  open = null
})

afterEach(async () => {
  await open?.end()
  await Dexie.delete(name)
})

/** What the older app has left, without any code of this one. */
async function leaveVersion1(): Promise<void> {
  const database = await opened(10, (made) => {
    for (const [table, { key, isNumbered = false, indexes = {} }] of Object.entries(VERSION_1)) {
      const store = made.createObjectStore(table, { keyPath: key as string, autoIncrement: isNumbered })
      for (const [index, [path, unique]] of Object.entries(indexes)) {
        store.createIndex(index, path as string, { unique })
      }
    }
  })
  const writing = database.transaction(["notes", "outbox"], "readwrite")
  writing.objectStore("notes").put({ key: "device", value: DEVICE })
  for (const each of QUEUE) writing.objectStore("outbox").put(each)
  await new Promise((resolve) => {
    writing.oncomplete = resolve
  })
  database.close()
}

function opened(version?: number, make?: (made: IDBDatabase) => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const asking = indexedDB.open(name, version)
    asking.onupgradeneeded = () => make?.(asking.result)
    asking.onsuccess = () => { resolve(asking.result) }
    asking.onerror = () => { reject(new Error(asking.error?.message)) }
  })
}

/** Every store with its keys and indexes, as text. */
async function layout(): Promise<readonly string[]> {
  const database = await opened()
  const names = [...database.objectStoreNames]
  const looking = database.transaction(names)
  const found = names.flatMap((each) => {
    const store = looking.objectStore(each)
    const indexes = [...store.indexNames].map((index) => {
      const { keyPath, unique } = store.index(index)
      return JSON.stringify([each, index, keyPath, unique])
    })
    return [JSON.stringify([each, store.keyPath, store.autoIncrement]), ...indexes]
  })
  database.close()
  return found
}

async function start(server: HouseholdServer): Promise<OpenHousehold> {
  const page = openPage()
  page.answering = serving(server)
  const around: Surroundings = {
    userId: () => "anna",
    isSignedOut: () => false,
    address: (household) => `ws://test/${household}`,
    painted: () => undefined,
    welcomed: () => undefined,
    signedOut: () => undefined,
    isOwn: (user) => user === "anna",
    askSession: () => Promise.resolve(true),
    householdMoved: () => undefined,
    devices: () => Promise.resolve([]),
    nameOf: () => null,
    firstEdit: () => undefined,
    gone: () => undefined,
  }
  return OpenHousehold.open(name, null, around)
}

test("a database that version 1 has left is opened, and its queue is sent", async () => {
  await leaveVersion1()
  const server = new HouseholdServer(chanceOf(3), () => Date.now(), BUILT_IN)
  try {
    open = await start(server)
    const { data } = open
    const before = await data.standing(9)
    expect(before.counts).toEqual({ pending: 3, refused: 1, parked: 1 })
    expect((await data.rows("account")).get(TRAIN)?.fields).toMatchObject({ balance: "12.5" })
    open.start()
    await until(() => server.rows().get(`account_group/${BANK}`)?.fields["name"] === "Sparkasse")
    while ((await data.standing(9)).counts.pending > 0) await rest() // until the answers are settled
    expect(server.rows().get(`account_group/${BANK}`)?.fields).toMatchObject({
      name: "Sparkasse",
      sortOrder: 3,
    })
    expect(server.rows().get(`account/${TRAIN}`)?.fields).toMatchObject({
      name: "Im Zug",
      accountGroupId: BANK,
      balance: "12.5",
    })
    const after = await data.standing(9)
    expect(after.counts).toEqual({ pending: 0, refused: 1, parked: 0 })
    expect(after.refused).toEqual([{ ...QUEUE[2], local: 3 }])
  } finally {
    await open?.end()
    open = null
    closePage()
  }
})

test("whoever changes version 1 leaves phones behind that have another one", async () => {
  await leaveVersion1()
  const released = await layout()
  await Dexie.delete(name)
  const made = new ReplicaDatabase(name)
  await made.openOwn()
  expect(made.verno, "a database of version 1 with a queue is to be opened by the next").toBe(1)
  made.close()
  expect(await layout()).toEqual(released)
})
