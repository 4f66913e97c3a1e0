// What the stores ask of the services. The services are started once (start.ts), or replaced by
// a test or a page that shows states.

import type { DeviceItem, Household, Json, Shown, SyncOutcome } from "../types"
import { trouble } from "./errors"

export interface SyncPort {
  /** Bring everything up to date, or find out why that cannot be. Never throws. */
  syncNow(): Promise<SyncOutcome>
  /** Give up a refused or parked change; what the server decided shows. */
  discard(local: number): Promise<void>
  /** Give up all that waits here and may not be sent, because this person may only look. */
  discardUnsendable(): Promise<void>
  /** Queue a refused change anew, with other values for some of its fields. */
  editRefused(local: number, fields: Readonly<Record<string, Json>>): Promise<void>
  /** Take an overruled value after all: an ordinary new change. */
  useMine(conflictId: string): Promise<void>
  /** Leave the winning value, and say no more about it on this device. */
  dismiss(conflictId: string): Promise<void>
  /** How things stand, for whoever helps: no names, no amounts. */
  diagnostics(): string
  /** Everything that this device keeps of the household, as a JSON file. */
  exportData(): Promise<Blob>
  devices(): Promise<readonly DeviceItem[]>
}

/** All of these throw Trouble; then nothing was stored. */
export interface EditPort {
  create(entity: string, fields: Readonly<Record<string, Json>>): Promise<string>
  /** Whether anything was different. */
  edit(
    entity: string,
    id: string,
    fields: Readonly<Record<string, Json>>,
    shown?: Shown,
  ): Promise<boolean>
  /** Several rows, in one transaction. */
  editMany(
    entity: string,
    edits: ReadonlyMap<string, Readonly<Record<string, Json>>>,
  ): Promise<void>
  /** The stamps that a row shows now: take them when a form is opened. */
  shownOf(entity: string, id: string): Shown
  remove(entity: string, id: string): Promise<void>
  /** Bring a deleted row back. */
  restore(entity: string, id: string): Promise<void>
}

export interface HouseholdPort {
  create(name: string): Promise<Household>
  switchTo(id: string): Promise<void>
  rename(id: string, name: string): Promise<void>
  /** Delete what this device keeps of a household, unsent changes included. The server keeps its own. */
  remove(id: string): Promise<void>
}

export interface SessionPort {
  /** Ask the server who is signed in, and which households there are. */
  refresh(): Promise<void>
  signOut(): Promise<void>
}

export interface Services {
  readonly sync: SyncPort
  readonly edits: EditPort
  readonly households: HouseholdPort
  readonly session: SessionPort
}

let started: Services | null = null

/** Give the stores their services. */
export function provideServices(services: Services | null): void {
  started = services
}

/** The services that were started. */
export function services(): Services {
  if (started === null) throw trouble("no_household", "The services are not started.")
  return started
}
