// What the server answers over HTTP, for tests of those who ask it.

import { vi } from "vitest"

import type { User } from "../../types"
import type { KnownDevice, ToldDevice } from "../api"
import type { ToldHousehold } from "../registry"

export const ANNA: User = { id: "anna", email: "anna@example.org", name: "Anna" }
export const BEN: User = { id: "ben", email: "ben@example.org", name: "Ben" }

export class FakeApi {
  user: User | null = null
  households: readonly ToldHousehold[] = []
  known: readonly KnownDevice[] = []
  devices: readonly Partial<ToldDevice>[] = []
  isReachable = true
  /** Another page answers in the server's place. */
  isPortal = false
  /** Paths of what was asked for, with the method of what was sent. */
  readonly asked: string[] = []
  readonly bodies: unknown[] = []

  readonly fetch = (path: string, init: RequestInit = {}): Promise<Response> => {
    this.asked.push(`${init.method ?? "GET"} ${path}`)
    if (!this.isReachable) return Promise.reject(new TypeError("Failed to fetch"))
    if (this.isPortal) {
      return Promise.resolve(new Response("<h1>Wi-Fi</h1>", { headers: { "Content-Type": "text/html" } }))
    }
    if (init.body !== undefined) this.bodies.push(JSON.parse(init.body as string))
    return Promise.resolve(this.answer(path))
  }

  private answer(path: string): Response {
    if (path === "/api/session") {
      const { user, households, known: devices } = this
      const urls = { signInUrl: "/in", accountUrl: "/me" }
      return Response.json({ user, households, devices, csrfToken: "token", version: "1", ...urls })
    }
    if (path.endsWith("/devices")) return Response.json(this.devices)
    if (path === "/accounts/logout/") {
      this.user = null
      return new Response()
    }
    return path.endsWith("/device") ? new Response(null, { status: 204 }) : Response.json({})
  }
}

/** Let this be the server, until the globals are taken back. */
export function openApi(): FakeApi {
  const api = new FakeApi()
  vi.stubGlobal("fetch", api.fetch)
  vi.stubGlobal("location", { protocol: "http:", host: "test" })
  return api
}

/** The browser's storage beside its databases. */
export class FakeStorage {
  readonly items = new Map<string, string>()
  isForbidden = false

  getItem(key: string): string | null {
    this.check()
    return this.items.get(key) ?? null
  }

  setItem(key: string, value: string): void {
    this.check()
    this.items.set(key, value)
  }

  private check(): void {
    if (this.isForbidden) throw new DOMException("The storage is full.", "QuotaExceededError")
  }
}
