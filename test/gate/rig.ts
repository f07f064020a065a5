import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type Arrival,
  Gate,
  type GateOptions,
  type Gone,
  type Rejected,
  type RequestHead,
} from '../../src/gate/index.js'
import { closeFd, setHomeNetns } from '../../src/kernel/host.js'

/** Moves this process for good into a network namespace of its own with a loopback. Returns what removes it. */
export function enterNamespace(name: string): () => void {
  const netns = `btgat${process.pid}-${name}`
  execFileSync('ip', ['netns', 'add', netns])
  execFileSync('ip', ['-n', netns, 'link', 'set', 'lo', 'up'])
  setHomeNetns(`/run/netns/${netns}`)
  return () => {
    execFileSync('ip', ['netns', 'delete', netns])
  }
}

/** Waits until `holds` does, and fails with what was waited for after ten seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 10_000
  while (!holds()) {
    if (performance.now() > giveUpMs) throw new Error(`waited in vain for: ${what}`)
    await delay(2)
  }
}

export type Kept = Arrival<RequestHead> & { readonly text: string }

/** A gate that keeps what it reports, with descriptors open until `dispose`. */
export class Rig {
  readonly gate: Gate
  readonly arrivals: Kept[] = []
  readonly rejected: Rejected[] = []
  readonly gone: Gone[] = []
  readonly clients = new Set<Socket>()
  /** Sizes of the lots in which arrivals came. */
  readonly batches: number[] = []

  constructor(limits: GateOptions<RequestHead>['limits'] = {}) {
    this.gate = new Gate({
      limits,
      onArrivals: (arrivals) => {
        this.batches.push(arrivals.length)
        for (const arrival of arrivals) {
          this.arrivals.push({ ...arrival, text: arrival.bytes.toString('latin1') })
        }
      },
      onRejected: (rejected) => {
        this.rejected.push(...rejected)
      },
      onGone: (gone) => {
        this.gone.push(...gone)
      },
    })
  }

  /** Listens without deferred accept, so that silent clients are seen. */
  listen(address = '127.0.0.1', deferAcceptSeconds = 0): number {
    return this.gate.listen({ name: 'web', address, port: 0, deferAcceptSeconds }).port
  }

  /** A connected client, which may be reset without the test failing. */
  async client(port: number, address = '127.0.0.1', localAddress?: string): Promise<Socket> {
    const from = localAddress === undefined ? {} : { localAddress }
    const socket = connect({ port, host: address, noDelay: true, allowHalfOpen: true, ...from })
    this.clients.add(socket)
    socket.on('error', () => {})
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return socket
  }

  get reports(): number {
    return this.arrivals.length + this.rejected.length + this.gone.length
  }

  /** Closes all descriptors that were reported. */
  closeReported(): void {
    for (const { fd } of [...this.arrivals, ...this.rejected, ...this.gone]) closeFd(fd)
    this.arrivals.length = 0
    this.rejected.length = 0
    this.gone.length = 0
  }

  dispose(): void {
    this.gate.destroy()
    this.closeReported()
    for (const client of this.clients) client.destroy()
  }
}

/** A test with a rig that is cleared away in any case. */
export function withRig(
  what: string,
  limits: GateOptions<RequestHead>['limits'],
  run: (rig: Rig) => Promise<void>,
): void {
  it(what, async () => {
    const rig = new Rig(limits)
    try {
      await run(rig)
    } finally {
      rig.dispose()
    }
  })
}

/** Descriptors of this process. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length
}

export const request = (path: string, fields = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
