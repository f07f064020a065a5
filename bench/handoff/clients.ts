import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { inNetnsUntilNextTick } from '../../src/kernel/host.js'

/** What the clients of the phases ask, as short as wrk and curl have it. */
export const REQUEST =
  'GET /inline/bytes/1024 HTTP/1.1\r\nHost: www.example\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: close\r\n\r\n'

/** How long anything of the measurement may take, in ms. */
const PATIENCE_MS = 5000
/** Until what the last client wrote has surely been received. */
const SETTLE_MS = 3

/** @throws Error when it does not come true within five seconds */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain for ${what}`)
    await sleep(1)
  }
}

/** Connections from the clients' namespace, in this process, each with its request sent. */
export class Clients {
  readonly #sockets: Socket[] = []
  #connected = 0
  #closed = 0
  /** Whole answers of 1 KiB with status 200. */
  answered = 0
  failure: Error | undefined

  constructor(netns: string, address: string, port: number, count: number) {
    // Node connects in the next tick, so the thread stays over there until then.
    inNetnsUntilNextTick(netns, () => {
      for (let index = 0; index < count; index++) this.#open(address, port)
    })
  }

  #open(address: string, port: number): void {
    const socket = connect({ host: address, port, noDelay: true })
    this.#sockets.push(socket)
    let bytes = 0
    let good = false
    socket.on('connect', () => {
      this.#connected++
      socket.write(REQUEST)
    })
    socket.on('data', (chunk: Buffer) => {
      if (bytes === 0) good = chunk.toString('latin1', 0, 12) === 'HTTP/1.1 200'
      bytes += chunk.length
    })
    socket.on('error', (error) => {
      this.failure ??= error
    })
    socket.on('close', () => {
      this.#closed++
      if (good && bytes > 1024) this.answered++
    })
  }

  /** Every connection stands and its request lies at the other end. */
  async sent(): Promise<void> {
    await until('the clients to connect', () => this.#connected === this.#sockets.length || this.#fail())
    await sleep(SETTLE_MS)
  }

  /** Every client has its whole answer. @throws Error otherwise */
  async done(): Promise<void> {
    await until('the answers', () => this.#closed === this.#sockets.length || this.#fail())
    if (this.answered !== this.#sockets.length) {
      throw new Error(`${this.answered} of ${this.#sockets.length} clients were answered`)
    }
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #fail(): false {
    if (this.failure !== undefined) throw this.failure
    return false
  }
}
