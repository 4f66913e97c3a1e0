// Who is signed in, on this device: also without the server, and after the session has ended.
//
// What is shown belongs to the person who was here last. The server is asked when it can be: at
// the start, when the page is looked at again, and when a socket is told to sign in.

import type { User } from "../types"
import { type ToldSession, getSession, postSignOut } from "./api"
import { Trouble } from "./errors"
import type { Registry } from "./registry"

/** What is known. isSignedIn: null as long as the server has not said. */
export interface SessionState {
  readonly user: User | null
  readonly isSignedIn: boolean | null
  /** Somebody else has signed in meanwhile than the one whose data is shown. */
  readonly other: User | null
  readonly signInUrl: string
  readonly accountUrl: string
}

export interface SessionEvents {
  readonly changed: (state: SessionState) => void
  /** The server has told who is there: the households that go with it. */
  readonly told: (session: ToldSession) => void
  /** The session has begun (again), or has ended. */
  readonly turned: (isSignedIn: boolean) => void
}

export class SessionService {
  state: SessionState = {
    user: null,
    isSignedIn: null,
    other: null,
    signInUrl: "/accounts/login/",
    accountUrl: "/accounts/",
  }
  private csrfToken = ""
  private asking: Promise<boolean> | null = null

  constructor(
    private readonly registry: Registry,
    private readonly events: SessionEvents,
  ) {}

  /** Who was here last; needs no server. */
  async recall(): Promise<User | null> {
    this.set({ user: await this.registry.lastUser() })
    return this.state.user
  }

  /** The id of the person whose data is shown; "" as long as nobody has signed in here. */
  get userId(): string {
    return this.state.user?.id ?? ""
  }

  get token(): string {
    return this.csrfToken
  }

  /**
   * Ask the server who is signed in. Returns false if it cannot be reached; then all stays.
   *
   * takesOver: who is signed in is the one whose data is shown from now on.
   */
  async refresh({ takesOver = false } = {}): Promise<boolean> {
    if (this.asking !== null) return this.asking
    const asking = this.ask(takesOver).finally(() => {
      if (this.asking === asking) this.asking = null
    })
    this.asking = asking
    return asking
  }

  /** A socket was told to sign in, or a request was. */
  ended(): void {
    // An answer that is on its way was perhaps given before: who asks now is asked for anew.
    this.asking = null
    if (this.state.isSignedIn === false) return
    this.set({ isSignedIn: false })
    this.events.turned(false)
  }

  /** A socket was taken for this person. False: that is not whose data is shown. */
  isOwn(user: string): boolean {
    return user === "" || this.userId === "" || user === this.userId
  }

  /** End the session. What is kept on this device stays. Throws Trouble. */
  async signOut(): Promise<void> {
    if (this.csrfToken === "") await this.refresh()
    await postSignOut(this.csrfToken)
    this.ended()
    await this.refresh()
  }

  private async ask(takesOver: boolean): Promise<boolean> {
    let told: ToldSession
    try {
      told = await getSession()
    } catch (error) {
      if (error instanceof Trouble) return false
      throw error
    }
    this.csrfToken = told.csrfToken
    const { user } = told
    const { signInUrl, accountUrl } = { ...this.state, ...told }
    if (user === null) {
      this.set({ signInUrl, accountUrl, other: null })
      this.ended()
      return true
    }
    const isOther = this.userId !== "" && user.id !== this.userId
    if (isOther && !takesOver) {
      this.set({ signInUrl, accountUrl, other: user })
      this.ended()
      return true
    }
    await this.registry.putLastUser(user)
    const hasTurned = this.state.isSignedIn === false || isOther
    this.set({ user, isSignedIn: true, other: null, signInUrl, accountUrl })
    await this.registry.putToldHouseholds(user.id, told.households)
    this.events.told(told)
    if (hasTurned) this.events.turned(true)
    return true
  }

  private set(changes: Partial<SessionState>): void {
    this.state = { ...this.state, ...changes }
    this.events.changed(this.state)
  }
}
