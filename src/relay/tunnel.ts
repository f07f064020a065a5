import type { Duplex } from 'node:stream'

export interface TunnelEnd {
  /** Bytes carried from `client` to `upstream`, and back. */
  readonly bytesUp: number
  readonly bytesDown: number
  /** Who broke it, if it did not end by both sides' FIN. */
  readonly broken: { readonly side: 'client' | 'upstream'; readonly error: Error } | null
}

/** A socket that can be cut with RST, so that an end that was not clean does not look clean. */
function abort(socket: Duplex): void {
  if (socket.destroyed) return
  if ('resetAndDestroy' in socket && typeof socket.resetAndDestroy === 'function') {
    try {
      socket.resetAndDestroy()
      return
    } catch {
      // Not a TCP handle (a TLS or a test's stream): destroying it is all that can be done.
    }
  }
  socket.destroy()
}

/**
 * Carries bytes both ways with back-pressure until both directions have ended. A FIN on one side becomes a FIN on the
 * other; an error on one side cuts the other with RST. Both streams must have been made with `allowHalfOpen`.
 */
export function tunnel(client: Duplex, upstream: Duplex): Promise<TunnelEnd> {
  return new Promise((resolve) => {
    let bytesUp = 0
    let bytesDown = 0
    let open = 2
    let settled = false
    const finish = (broken: TunnelEnd['broken']) => {
      if (settled) return
      settled = true
      if (broken !== null) {
        abort(client)
        abort(upstream)
      }
      resolve({ bytesUp, bytesDown, broken })
    }
    const direction = (from: Duplex, to: Duplex, count: (bytes: number) => void) => {
      from.on('data', (chunk: Buffer) => {
        count(chunk.length)
        if (!to.write(chunk)) from.pause()
      })
      to.on('drain', () => from.resume())
      from.on('end', () => to.end())
      from.resume()
    }
    const watch = (socket: Duplex, side: 'client' | 'upstream') => {
      let failure: Error | undefined
      socket.on('error', (error: Error) => {
        failure = error
      })
      socket.on('close', () => {
        const clean = failure === undefined && socket.readableEnded && socket.writableFinished
        if (!clean) finish({ side, error: failure ?? new Error(`the ${side} went away`) })
        else if (--open === 0) finish(null)
      })
      if (socket.destroyed) finish({ side, error: new Error(`the ${side} went away`) })
    }
    watch(client, 'client')
    watch(upstream, 'upstream')
    direction(client, upstream, (bytes) => {
      bytesUp += bytes
    })
    direction(upstream, client, (bytes) => {
      bytesDown += bytes
    })
  })
}
