// Sockets of a page that end at a household's server in memory.

import type { Answering, FakeSocket } from "./page"
import type { HouseholdServer, Peer } from "./server"

/** user: whom the server takes them for. unheard: types of frames that get lost on the way down. */
export function serving(
  server: HouseholdServer,
  { user = "anna", unheard = new Set() }: { user?: string; unheard?: ReadonlySet<string> } = {},
): Answering {
  const peers = new Map<FakeSocket, Peer>()
  return {
    opened: (socket) => {
      peers.set(socket, {
        user,
        send: (frame) => {
          if (unheard.has(frame.type)) return
          queueMicrotask(() => {
            socket.hear(frame)
          })
        },
        close: (code) => {
          queueMicrotask(() => {
            socket.end(code)
          })
        },
      })
      socket.open()
    },
    said: (socket, frame) => {
      const peer = peers.get(socket)
      if (peer !== undefined) server.take(peer, frame)
    },
    ended: (socket) => {
      const peer = peers.get(socket)
      if (peer !== undefined) server.left(peer)
    },
  }
}
