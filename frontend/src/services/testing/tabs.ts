// Tabs of one browser, for tests: locks and channels as they share them. Words are heard when the
// test says so, in the order in which they were said; a frozen tab hears and says nothing until it thaws.

interface Request {
  readonly name: string
  readonly work: () => Promise<unknown>
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** Web Locks: one holder for each name, the others in line; `steal` takes it from the holder. */
export class FakeLocks {
  private readonly held = new Map<string, Request>()
  private readonly line: Request[] = []

  request(
    name: string,
    options: { readonly steal?: boolean; readonly signal?: AbortSignal },
    work: () => Promise<unknown>,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const request = { name, work, resolve, reject }
      const holder = this.held.get(name)
      if (options.steal === true && holder !== undefined) {
        this.held.delete(name)
        holder.reject(new DOMException("Somebody has taken the lock.", "AbortError"))
      }
      if (!this.held.has(name)) {
        this.grant(request)
        return
      }
      this.line.push(request)
      options.signal?.addEventListener("abort", () => {
        const place = this.line.indexOf(request)
        if (place < 0) return // granted: a signal does not end that
        this.line.splice(place, 1)
        reject(new DOMException("Nobody waits for it any more.", "AbortError"))
      })
    })
  }

  /** How many stand in line for a lock that somebody holds. */
  get waiting(): number {
    return this.line.length
  }

  private grant(request: Request): void {
    this.held.set(request.name, request)
    // As a browser does: not within the call that asked for it.
    void Promise.resolve()
      .then(request.work)
      .then(request.resolve, request.reject)
      .finally(() => {
        if (this.held.get(request.name) !== request) return // it was taken
        this.held.delete(request.name)
        const next = this.line.findIndex((each) => each.name === request.name)
        const [granted] = next < 0 ? [] : this.line.splice(next, 1)
        if (granted !== undefined) this.grant(granted)
      })
  }
}

/** BroadcastChannel, one for each tab and name. */
export class FakeChannel extends EventTarget {
  static readonly all = new Set<FakeChannel>()
  isFrozen = false
  private readonly unheard: unknown[] = []
  private readonly unsaid: unknown[] = []

  constructor(readonly name: string) {
    super()
    FakeChannel.all.add(this)
  }

  postMessage(word: unknown): void {
    if (this.isFrozen) {
      this.unsaid.push(structuredClone(word))
      return
    }
    for (const other of FakeChannel.all) {
      if (other === this || other.name !== this.name) continue
      other.unheard.push(structuredClone(word))
      queueMicrotask(() => {
        other.hear()
      })
    }
  }

  close(): void {
    FakeChannel.all.delete(this)
  }

  freeze(): void {
    this.isFrozen = true
  }

  thaw(): void {
    this.isFrozen = false
    for (const word of this.unsaid.splice(0)) this.postMessage(word)
    this.hear()
  }

  private hear(): void {
    if (this.isFrozen || !FakeChannel.all.has(this)) return
    for (const word of this.unheard.splice(0)) {
      this.dispatchEvent(new MessageEvent("message", { data: word }))
    }
  }
}
