// A double of the FinWise 0.4 app, for a real browser: its databases, its requests, its socket and
// its queue, oddities included, written from what is known of the real one. It has no forms; a test
// calls `app`. Its Python sister, for the simulation, is ../../app.py.

const RECONNECT_MS = 5000
const RECONNECTS = 10
const RETRY_MS = 30000
const HEALTH_MS = 15000
const POLL_MS = 5000
const STORES = { Account: "accounts", AccountGroup: "accountGroups" }
const LOADED_AS = { accounts: "Account", account_groups: "AccountGroup" }

// --- IndexedDB ------------------------------------------------------------------------------

const databases = {}

function open(name, stores) {
  databases[name] ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => {
      for (const [store, keyPath] of Object.entries(stores)) {
        request.result.createObjectStore(store, { keyPath })
      }
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  return databases[name]
}

const people = () =>
  open("finwiseUserDB", { dbUsers: "uuid", dbTenants: "uuid", dbSession: "id" })
const household = (tenantId) =>
  open(`finwiseTenantDB_${tenantId}`, { accounts: "id", accountGroups: "id", syncQueue: "id" })

async function inStores(database, stores, work) {
  const transaction = (await database).transaction(stores, "readwrite")
  const result = work(transaction)
  await new Promise((resolve, reject) => {
    transaction.oncomplete = resolve
    transaction.onabort = () => reject(transaction.error)
  })
  return result?.result
}

const all = (database, store) => inStores(database, store, (t) => t.objectStore(store).getAll())
const get = (database, store, key) =>
  inStores(database, store, (t) => t.objectStore(store).get(key))
const put = (database, store, value) =>
  inStores(database, store, (t) => t.objectStore(store).put(value))
const remove = (database, store, key) =>
  inStores(database, store, (t) => t.objectStore(store).delete(key))

// --- HTTP: no credential of its own, fetch in its default mode ------------------------------

async function ask(path, method = "GET", body = undefined) {
  app.requests += 1
  const response = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  if (!response.ok) {
    const told = await response.json().catch(() => ({}))
    const error = new Error(told.message ?? `API request failed with status ${response.status}`)
    error.status = response.status
    throw error
  }
  return response.status === 204 ? null : response.json()
}

// --- the app --------------------------------------------------------------------------------

const app = {
  person: null,
  tenantId: null,
  // What the page shows; never filled from IndexedDB.
  seen: { Account: {}, AccountGroup: {} },
  status: "",
  socket: null,
  closes: [],
  acks: [],
  nacks: [],
  heard: [],
  problems: [],
  requests: 0,
  // What a test may do to the network: frames that are lost on their way here or there.
  loses: () => false,
  clockOffMs: 0,
  now: () => Date.now() + app.clockOffMs,

  // --- people

  // What every start does, before anybody has signed in.
  async start() {
    const session = await get(people(), "dbSession", "currentSession")
    const mine = await all(people(), "dbUsers")
    app.person = mine.find((each) => each.uuid === session?.currentUserId) ?? null
    try {
      const there = await ask("/users")
      for (const each of mine) {
        const found = there.find((other) => other.uuid === each.uuid)
        if (!found || each.needsBackendSync) await app.announcePerson(each)
        else if (Date.parse(found.updatedAt) < Date.parse(each.updatedAt)) {
          await ask(`/users/${each.uuid}`, "PUT", { name: each.username, email: each.email })
        }
      }
    } catch (error) {
      app.problems.push(String(error))
    }
    if (app.person) await app.bringTenants()
    const active = localStorage.getItem("finwise_activeTenant")
    if (app.person && active) await app.activate(active)
  },

  async announcePerson(person) {
    const { uuid, username, email, passwordHash } = person
    const body = { uuid, name: username, email }
    if (passwordHash) body.hashed_password = passwordHash
    try {
      await ask("/users", "POST", body)
      await put(people(), "dbUsers", { ...person, needsBackendSync: false })
    } catch (error) {
      app.problems.push(String(error))
    }
  },

  // Any failure is "offline": then the person lives here, with an id and a hash of its own.
  async register(name, email, password, passwordHash) {
    let person
    try {
      const told = await ask("/register", "POST", { name, email: email.toLowerCase(), password })
      person = { ...told, username: told.name }
    } catch (error) {
      app.problems.push(String(error))
      const now = new Date(app.now()).toISOString()
      person = {
        uuid: crypto.randomUUID(),
        username: name,
        email: email.toLowerCase(),
        createdAt: now,
        updatedAt: now,
        needsBackendSync: true,
        passwordHash,
      }
    }
    await put(people(), "dbUsers", person)
    await app.begin(person)
    return person.uuid
  },

  async logIn(who, password) {
    const usernameOrEmail = who.toLowerCase()
    let person
    try {
      const told = await ask("/login", "POST", { username_or_email: usernameOrEmail, password })
      person = { ...told, username: told.name }
      await put(people(), "dbUsers", person)
    } catch (error) {
      if (error.status) return error.status === 401 ? "Login fehlgeschlagen" : error.message
      const mine = await all(people(), "dbUsers")
      person = mine.find((each) => each.email === usernameOrEmail)
      if (!person) return "Login fehlgeschlagen"
    }
    await app.begin(person)
    await app.bringTenants()
    return ""
  },

  async begin(person) {
    app.person = person
    const session = { id: "currentSession", currentUserId: person.uuid, currentTenantId: null }
    await put(people(), "dbSession", session)
  },

  // The app tells its server nothing of this.
  async logOut() {
    app.close()
    app.person = null
    localStorage.removeItem("finwise_activeTenant")
    await remove(people(), "dbSession", "currentSession")
  },

  // --- households

  async bringTenants() {
    try {
      const there = await ask(`/tenants?user_id=${app.person.uuid}`)
      const mine = (await all(people(), "dbTenants")).filter((t) => t.user_id === app.person.uuid)
      for (const each of mine) {
        const found = there.find((other) => other.uuid === each.uuid)
        if (!found || Date.parse(found.updatedAt) < Date.parse(each.updatedAt)) {
          const body = { uuid: each.uuid, name: each.tenantName, user_id: each.user_id }
          await ask("/tenants", "POST", body).catch((error) => app.problems.push(String(error)))
        }
      }
      for (const each of there) {
        await put(people(), "dbTenants", { ...each, tenantName: each.name })
      }
    } catch (error) {
      app.problems.push(String(error))
    }
  },

  async tenants() {
    const mine = await all(people(), "dbTenants")
    return mine.filter((each) => each.user_id === app.person.uuid).map((each) => each.uuid)
  },

  async newTenant(name) {
    const now = new Date(app.now()).toISOString()
    const uuid = crypto.randomUUID()
    const user_id = app.person.uuid
    const tenant = { uuid, tenantName: name, user_id, createdAt: now, updatedAt: now }
    await put(people(), "dbTenants", tenant)
    // Not awaited.
    ask("/tenants/", "POST", { uuid, name, user_id }).catch((error) =>
      app.problems.push(String(error)),
    )
    await app.activate(uuid)
    const giro = await app.newGroup("Girokonten", { sortOrder: 0 })
    await app.newGroup("Sparkonten", { sortOrder: 1 })
    const more = { description: "Initiales Girokonto", accountType: "CHECKING" }
    await app.newAccount("Girokonto", giro, { ...more, sortOrder: 0, image: "" })
    return uuid
  },

  async activate(tenantId) {
    app.close()
    app.tenantId = tenantId
    app.seen = { Account: {}, AccountGroup: {} }
    localStorage.setItem("finwise_activeTenant", tenantId)
    app.connect()
  },

  // --- what a person does

  newGroup(name, fields = {}) {
    return app.create("AccountGroup", { name, sortOrder: 0, ...fields })
  },

  // As the form: neither accountType nor sortOrder, empty texts, zeros.
  newAccount(name, accountGroupId, fields = {}) {
    const texts = { name, description: "", note: "", iban: "" }
    const flags = { isActive: true, isOfflineBudget: false, accountGroupId }
    const amounts = { balance: 0, creditLimit: 0, offset: 0 }
    return app.create("Account", { ...texts, ...flags, ...amounts, ...fields })
  },

  async create(kind, fields) {
    const id = crypto.randomUUID()
    const record = { id, ...fields, updated_at: new Date(app.now()).toISOString() }
    await app.keep(kind, record)
    await app.enqueue(kind, id, "create", record)
    return id
  },

  // An edit keeps the `updated_at` of its record: only the entry knows the time.
  async edit(kind, id, fields) {
    const record = { ...(await get(household(app.tenantId), STORES[kind], id)), ...fields }
    await app.keep(kind, record)
    await app.enqueue(kind, id, "update", record)
  },

  async drop(kind, id) {
    await app.forget(kind, id)
    await app.enqueue(kind, id, "delete", { id })
  },

  async enqueue(entityType, entityId, operationType, payload) {
    await put(household(app.tenantId), "syncQueue", {
      id: crypto.randomUUID(),
      tenantId: app.tenantId,
      entityType,
      entityId,
      operationType,
      payload,
      timestamp: app.now(),
      status: "pending",
      attempts: 0,
    })
  },

  async keep(kind, record) {
    await put(household(app.tenantId), STORES[kind], record)
    app.seen[kind][record.id] = record
  },

  async forget(kind, id) {
    await remove(household(app.tenantId), STORES[kind], id)
    delete app.seen[kind][id]
  },

  // --- the socket

  connect(failures = 0) {
    const tenantId = app.tenantId
    const scheme = location.protocol === "https:" ? "wss" : "ws"
    const url = `${scheme}://${location.hostname}:${location.port}/ws_finwise/ws/${tenantId}`
    const socket = new WebSocket(url)
    app.socket = socket
    let hearing = Promise.resolve()
    socket.onmessage = (event) => {
      if (app.loses(event.data)) return
      const frame = JSON.parse(event.data)
      app.heard.push(frame)
      if (frame.type === "status") {
        app.status = frame.status
        failures = 0
        if (frame.status === "online") {
          // In the same tick; nothing waits for the answer.
          app.poll()
          app.sync()
        }
        return
      }
      hearing = hearing.then(() => app.hear(frame, tenantId))
    }
    socket.onclose = (event) => {
      if (app.socket !== socket) return
      app.status = ""
      app.closes.push(event.code)
      const isPatient = failures >= RECONNECTS
      if (isPatient) {
        app.health = setTimeout(() => ask("/api/v1/websocket/health").catch(() => null), HEALTH_MS)
      }
      app.retry = setTimeout(() => app.connect(failures + 1), isPatient ? RETRY_MS : RECONNECT_MS)
    }
  },

  close() {
    clearTimeout(app.retry)
    const socket = app.socket
    app.socket = null
    app.status = ""
    socket?.close()
  },

  // The button, too.
  sync() {
    app.say({ type: "request_initial_data", tenant_id: app.tenantId })
  },

  say(frame) {
    const text = JSON.stringify(frame)
    if (app.socket?.readyState !== WebSocket.OPEN) return false
    if (!app.loses(text)) app.socket.send(text)
    return true
  },

  // All that waits, in the order of its times, back to back.
  async poll() {
    if (app.status !== "online") return
    const tenantId = app.tenantId
    const queue = await all(household(tenantId), "syncQueue")
    queue.sort((a, b) => a.timestamp - b.timestamp)
    for (const entry of queue.filter((each) => each.status === "pending")) {
      const attempts = entry.attempts + 1
      const sent = { ...entry, status: "processing", attempts, lastAttempt: app.now() }
      await put(household(tenantId), "syncQueue", sent)
      const isSent = app.say({ type: "process_sync_entry", payload: sent })
      if (!isSent) await put(household(tenantId), "syncQueue", { ...sent, status: "pending" })
    }
  },

  async hear(frame, tenantId) {
    if (tenantId !== app.tenantId) return
    if (frame.tenant_id !== undefined && frame.tenant_id !== app.tenantId) return
    const database = household(tenantId)
    if (frame.event_type === "initial_data_load") {
      const queue = await all(database, "syncQueue")
      const going = queue.filter(
        (each) =>
          each.operationType === "delete" && ["pending", "processing"].includes(each.status),
      )
      for (const [name, kind] of Object.entries(LOADED_AS)) {
        for (const record of frame.payload[name]) {
          if (!going.some((each) => each.entityId === record.id)) await app.take(kind, record)
        }
      }
    } else if (frame.event_type === "data_update") {
      if (frame.operation_type === "delete") await app.forget(frame.entity_type, frame.data.id)
      else await app.take(frame.entity_type, frame.data)
    } else if (frame.type === "sync_ack") {
      app.acks.push(frame.id)
      await remove(database, "syncQueue", frame.id)
    } else if (frame.type === "sync_nack") {
      app.nacks.push(frame)
      const entry = await get(database, "syncQueue", frame.id)
      // Meant to be tried again, and in fact never is.
      const error = `${frame.reason}: ${frame.detail}`
      if (entry) await put(database, "syncQueue", { ...entry, status: "failed", error })
    }
  },

  // Only what is newer than what is here; null is now.
  async take(kind, record) {
    const told = record.updated_at ?? new Date(app.now()).toISOString()
    const mine = await get(household(app.tenantId), STORES[kind], record.id)
    if (mine && Date.parse(mine.updated_at) >= Date.parse(told)) return
    await app.keep(kind, { ...record, updated_at: told })
  },

  // --- for tests to look

  queue: () => all(household(app.tenantId), "syncQueue"),
  kept: async (kind) => all(household(app.tenantId), STORES[kind]),

  // Not the app's: whoever empties it by hand makes everything that was sent wait again.
  async sendAgain() {
    for (const entry of await app.queue()) {
      if (entry.status === "processing") {
        await put(household(app.tenantId), "syncQueue", { ...entry, status: "pending" })
      }
    }
  },
}

setInterval(() => app.poll(), POLL_MS)
window.app = app
app.ready = app.start()
