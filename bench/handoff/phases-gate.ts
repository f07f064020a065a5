import { readRequestHead } from '../../src/gate/index.js'
import { gateCalls } from '../../src/kernel/gate.js'
import { closeFd } from '../../src/kernel/host.js'
import { Clients, REQUEST } from './clients.js'
import type { Stopwatch } from './stopwatch.js'

const PEEK_BYTES = 16 * 1024
const RECORDS = 64
const DEFER_SECONDS = 5

/**
 * The native gate alone: a batch of connections whose requests are there is accepted and peeked at in one call, from
 * the call to the callback.
 */
export async function measureGate(
  watch: Stopwatch,
  plan: {
    readonly client: string
    readonly address: string
    readonly batch: number
    readonly rounds: number
  },
): Promise<void> {
  const calls = gateCalls()
  const { recordWords, fd } = calls.gateLayout
  const records = new Int32Array(RECORDS * recordWords)
  const arena = Buffer.alloc((RECORDS + 1) * PEEK_BYTES)
  const accepted: number[] = []
  let calledAtMs = 0
  const gate = calls.gateOpen(records, arena, PEEK_BYTES, (count) => {
    calledAtMs = performance.now()
    for (let index = 0; index < count; index++) accepted.push(records[index * recordWords + fd]!)
  })
  try {
    for (let round = 0; round < plan.rounds; round++) {
      calls.gateAccepting(gate, false)
      const listener = calls.gateListen(gate, plan.address, 0, 128, DEFER_SECONDS)
      const clients = new Clients(plan.client, plan.address, listener.port, plan.batch)
      await clients.sent()
      calls.gateAccepting(gate, true)
      const startedAtMs = performance.now()
      calls.gateUnlisten(gate, listener.index, true)
      const us = (calledAtMs - startedAtMs) * 1000
      for (const one of accepted) closeFd(one)
      clients.destroy()
      if (accepted.length !== plan.batch) throw new Error(`${accepted.length} of ${plan.batch} were accepted`)
      accepted.length = 0
      watch.add(`gate/${plan.batch}`, us / plan.batch)
    }
  } finally {
    calls.gateClose(gate)
  }
}

/** A head as browsers send it. */
const BROWSER = [
  'GET /v/films/2024/trailer.mp4?quality=1080&session=5f3a9c HTTP/1.1',
  'Host: cdn7.video.example',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Accept: video/webm,video/ogg,video/*;q=0.9,application/ogg;q=0.7,audio/*;q=0.6,*/*;q=0.5',
  'Accept-Language: en-US,en;q=0.5',
  'Range: bytes=0-',
  'Connection: keep-alive',
  'Referer: https://www.video.example/films/2024/',
  `Cookie: id=${'a1b2c3d4'.repeat(12)}; consent=yes; theme=dark`,
  'Sec-Fetch-Dest: video',
  'Sec-Fetch-Mode: no-cors',
  'Sec-Fetch-Site: same-site',
  'Priority: u=4',
  '\r\n',
].join('\r\n')

const REPEAT = 20

/** The head reader alone. */
export function measureHead(watch: Stopwatch, rounds: number): void {
  for (const [name, text] of [
    ['head/short', REQUEST],
    ['head/browser', BROWSER],
  ] as const) {
    const bytes = Buffer.from(text, 'latin1')
    for (let round = 0; round < rounds; round++) {
      const startedAtMs = performance.now()
      for (let index = 0; index < REPEAT; index++) {
        if (readRequestHead(bytes, bytes.length, PEEK_BYTES).kind !== 'head')
          throw new Error(`${name} is no head`)
      }
      watch.lap(name, startedAtMs, REPEAT)
    }
  }
}
