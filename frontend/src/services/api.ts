// The server's JSON, and nothing else that answers in its place: a captive portal's page is no
// answer, whatever its status.

import type { Role } from "../sync/core/messages"
import type { User } from "../types"
import { Trouble, trouble } from "./errors"
import type { ToldHousehold } from "./registry"

/** What /api/session tells. user: null when nobody is signed in. */
export interface ToldSession {
  readonly user: User | null
  readonly csrfToken: string
  readonly households: readonly ToldHousehold[]
  readonly devices?: readonly KnownDevice[]
  readonly version: string
  readonly signInUrl: string
  readonly accountUrl: string
}

/** This browser was that device, as a cookie of the server remembers it. */
export interface KnownDevice {
  readonly household: string
  readonly device: string
}

export interface ToldDevice {
  readonly id: string
  readonly name: string
  readonly user: string
  readonly userId: string
  readonly isOnline: boolean
  readonly lastSyncMs: number | null
  /** Changes that it had not sent when it last said how many, and when that was. */
  readonly pending?: number
  readonly pendingToldMs?: number
}

const PATIENCE_MS = 10_000

/** Throws Trouble "offline" if the server cannot be reached. */
export async function getSession(): Promise<ToldSession> {
  const told = await json("/api/session")
  if (!isSession(told)) throw trouble("offline", "What answered is not the server.")
  return told
}

export async function getDevices(household: string): Promise<readonly ToldDevice[]> {
  const told = await json(`/api/households/${household}/devices`)
  if (!Array.isArray(told)) throw trouble("offline", "What answered is not the server.")
  return told as readonly ToldDevice[]
}

export async function postName(household: string, name: string, csrfToken: string): Promise<void> {
  await json(`/api/households/${household}/name`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken },
    body: JSON.stringify({ name }),
  })
}

/** Let the server remember, for this browser, which device of the household it is. */
export async function postDevice(known: KnownDevice, csrfToken: string): Promise<void> {
  const { household, device } = known
  const response = await reach(`/api/households/${household}/device`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken },
    body: JSON.stringify({ device }),
  })
  if (!response.ok) throw trouble("failed")
}

/** End the session on the server. */
export async function postSignOut(csrfToken: string): Promise<void> {
  // The answer is a page to go to: not followed, because only the cookie matters.
  const response = await reach("/accounts/logout/", {
    method: "POST",
    headers: { "X-CSRFToken": csrfToken },
    redirect: "manual",
  })
  if (response.type !== "opaqueredirect" && !response.ok) throw trouble("failed")
}

async function json(path: string, init: Init = {}): Promise<unknown> {
  const response = await reach(path, init)
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json") ?? false
  if (!isJson) throw trouble("offline", "What answered is not the server.")
  let told: unknown
  try {
    told = await response.json()
  } catch (error) {
    throw trouble("offline", "The answer ended too early.", error)
  }
  if (response.ok) return told
  if (response.status === 401) throw trouble("signed_out")
  const { code, message } = (told ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  throw new Trouble(
    typeof code === "string" ? code : response.status === 403 ? "forbidden" : "failed",
    "",
    typeof message === "string" ? message : `The server answered ${response.status}.`,
  )
}

interface Init extends Omit<RequestInit, "headers"> {
  readonly headers?: Readonly<Record<string, string>>
}

async function reach(path: string, init: Init): Promise<Response> {
  try {
    return await fetch(path, {
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...init,
      headers: { Accept: "application/json", ...init.headers },
    })
  } catch (error) {
    throw trouble("offline", "The server cannot be reached.", error)
  }
}

const ROLES: readonly Role[] = ["owner", "editor", "viewer"]

function isSession(value: unknown): value is ToldSession {
  if (typeof value !== "object" || value === null) return false
  const { user, csrfToken, households } = value as Partial<Record<keyof ToldSession, unknown>>
  return (
    (user === null || (typeof user === "object" && typeof (user as User).id === "string")) &&
    typeof csrfToken === "string" &&
    Array.isArray(households) &&
    households.every((each: Partial<ToldHousehold>) => {
      return typeof each.id === "string" && typeof each.name === "string" && isRole(each.role)
    })
  )
}

function isRole(role: unknown): role is Role {
  return (ROLES as readonly unknown[]).includes(role)
}
