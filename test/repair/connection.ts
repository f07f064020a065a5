import assert from 'node:assert/strict'
import { readSync, writeSync } from 'node:fs'
import type { Server, Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { closeFd } from '../../src/kernel/host.js'
import type { Host } from '../../src/lab/index.js'
import { freeze, mayLeaveUnread, restore, type Snapshot, thaw } from '../../src/repair/index.js'
import type { Crossroads } from './crossroads.js'
import { streamBytes } from './stream.js'

const buffer = Buffer.alloc(256 * 1024)

function orAgain(call: () => number): number | 'again' {
  try {
    return call()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') return 'again'
    throw error
  }
}

/** The descriptor below a socket of Node, which goes on owning it. */
export function descriptor(socket: Socket | Server): number {
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  if (typeof fd !== 'number' || fd < 0) throw new Error('the socket has no descriptor')
  return fd
}

/** One end's descriptor, with a pseudo-random stream each way. Plain reads and writes; Node's own loop stays out. */
export class End {
  readonly fd: number
  readonly #close: () => void
  /** Seeds and positions of both streams; they stay with the end when the descriptor changes. */
  readonly stream: { readonly out: number; readonly in: number; sent: number; received: number }
  #isOpen = true

  private constructor(fd: number, close: () => void, stream: End['stream']) {
    this.fd = fd
    this.#close = close
    this.stream = stream
  }

  static ofSocket(socket: Socket, out: number, from: number): End {
    socket.on('error', () => {}) // a reset shows in read() and write(), where it is looked for
    return new End(descriptor(socket), () => socket.destroy(), { out, in: from, sent: 0, received: 0 })
  }

  /** The same end on another descriptor. */
  on(fd: number): End {
    return new End(fd, () => closeFd(fd), this.stream)
  }

  /** Writes what the socket takes, up to `limit`, and returns how much. */
  write(limit: number): number {
    let done = 0
    while (done < limit) {
      const bytes = streamBytes(this.stream.out, this.stream.sent, limit - done)
      const wrote = orAgain(() => writeSync(this.fd, bytes))
      if (wrote === 'again') break
      done += wrote
      this.stream.sent += wrote
    }
    return done
  }

  /** Reads what is there, up to `limit`, and compares each byte. */
  read(limit = buffer.length): number {
    const got = orAgain(() => readSync(this.fd, buffer, 0, Math.min(limit, buffer.length), null))
    if (got === 'again') return 0
    assert.notEqual(got, 0, 'the connection has ended')
    this.take(buffer.subarray(0, got))
    return got
  }

  /** Compares each byte that was read, or was left out of a restore. */
  take(bytes: Buffer): void {
    let checked = 0
    while (checked < bytes.length) {
      const { in: seed, received } = this.stream
      const wanted = streamBytes(seed, received, bytes.length - checked)
      const same = wanted.equals(bytes.subarray(checked, checked + wanted.length))
      assert.ok(same, `the stream differs between ${received} and ${received + wanted.length}`)
      checked += wanted.length
      this.stream.received += wanted.length
    }
  }

  /** True when the other side has closed in order; false when there is nothing to read. */
  ended(): boolean {
    const got = orAgain(() => readSync(this.fd, buffer, 0, buffer.length, null))
    assert.ok(got === 'again' || got === 0, 'there is something to read')
    return got === 0
  }

  /** A live one says goodbye to its peer; a frozen one is silent. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#close()
  }
}

/** A connection whose serving end moves. */
export class Connection {
  client: End
  server: End
  at: Host
  readonly #world: Crossroads

  constructor(world: Crossroads, client: End, server: End) {
    this.#world = world
    this.client = client
    this.server = server
    this.at = world.a
  }

  /**
   * Moves the serving end. `early`: it is live before the client's packets go there, so that their answers meet the
   * lock of the old host. `late`: it stays frozen until they do.
   */
  move(to: Host, order: 'early' | 'late' = 'late'): Snapshot {
    const snapshot = freeze(this.server.fd)
    const fd = to.inside(() => restore(snapshot, { finish: order === 'early' ? 'live' : 'frozen' }))
    this.#world.direct(to)
    this.server.close()
    this.server = this.server.on(fd)
    this.at = to
    if (order === 'late') thaw(fd, snapshot)
    return snapshot
  }

  /** As {@link move} late, with the unread bytes left out of the new socket where they may be. @returns whether they were */
  moveLeaving(to: Host): boolean {
    const snapshot = freeze(this.server.fd)
    const leaves = mayLeaveUnread(snapshot)
    const fd = to.inside(() => restore(snapshot, { finish: 'frozen', unread: leaves ? 'caller' : 'kernel' }))
    this.#world.direct(to)
    this.server.close()
    this.server = this.server.on(fd)
    if (leaves) this.server.take(snapshot.receive.queue)
    this.at = to
    thaw(fd, snapshot)
    return leaves && snapshot.receive.queue.length > 0
  }

  /** Makes both ends anew from their snapshots, as `change` has them: any sequence numbers and options. */
  remake(change: (snapshot: Snapshot, end: 'client' | 'server') => Snapshot): void {
    const client = change(freeze(this.client.fd), 'client')
    const server = change(freeze(this.server.fd), 'server')
    this.destroy()
    this.client = this.client.on(restore(client))
    this.server = this.server.on(this.at.inside(() => restore(server)))
  }

  /** Writes and reads at both ends until `done`, with 1 ms between rounds in which nothing moved. */
  async pump(limit: number, done: () => boolean, timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!done()) {
      assert.ok(Date.now() < deadline, `no end after ${timeoutMs} ms: ${JSON.stringify(this.positions())}`)
      let bytes = 0
      for (const end of [this.client, this.server]) bytes += end.write(limit)
      for (const end of [this.client, this.server]) bytes += end.read()
      await (bytes === 0 ? delay(1) : new Promise(setImmediate))
    }
  }

  /** Reads at both ends until nothing is under way. */
  async drain(timeoutMs = 20_000): Promise<void> {
    const arrived = () =>
      this.client.stream.received === this.server.stream.sent &&
      this.server.stream.received === this.client.stream.sent
    const deadline = Date.now() + timeoutMs
    while (!arrived()) {
      assert.ok(Date.now() < deadline, `not drained: ${JSON.stringify(this.positions())}`)
      if (this.client.read() + this.server.read() === 0) await delay(1)
    }
  }

  positions(): unknown {
    return { client: this.client.stream, server: this.server.stream }
  }

  destroy(): void {
    this.client.close()
    this.server.close()
  }
}
