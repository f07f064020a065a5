import { once } from 'node:events'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { inNetnsUntilNextTick } from '../../../kernel/host.js'
import { CHAT_HOST, CHAT_PATH } from '../chat.js'
import type { Scene } from '../scene.js'
import { expect, type Step } from '../step.js'

/** What each says in each part of the conversation. */
const LINES = 10
const PATIENCE_MS = 10_000

/** A connection that lives for long outlives the frontend in both directions. */
export function chat(scene: Scene): Step {
  const { hosts, net } = scene
  return {
    name: 'chat',
    title: 'two WebSocket clients chat while the frontend is killed, is away, and starts again',
    async run() {
      const both = await Promise.all([join(scene), join(scene)])
      const talk = async (when: string): Promise<number> => {
        const said = Array.from({ length: LINES }, (_, index) => `${when} ${index}`)
        for (const line of said) for (const [index, one] of both.entries()) one.say(`${index}: ${line}`)
        for (const one of both) await one.heard(2 * LINES, when)
        return said.length * both.length
      }
      let lines = await talk('before')
      const index = net.frontends.indexOf(net.active)
      const victim = hosts.process(`front-${index + 1}`)
      expect(victim.kill('SIGKILL'), 'the frontend was running')
      await victim.exited
      const awayAtMs = performance.now()
      const whileAway = await talk('away')
      await hosts.startDemoFrontend(index)
      const frontendAwayMs = Math.round(performance.now() - awayAtMs)
      lines += whileAway + (await talk('again'))
      for (const one of both) expect(await one.leave(), 'it ends as a WebSocket does, by code 1000')
      return { lines, whileAway, frontendAwayMs }
    },
  }
}

/** A chatter at the client's host, who never connects again. @throws ClaimFailed when the chat cannot be joined */
async function join({ net }: Scene) {
  const port = 80
  const socket = new WebSocket(`ws://${net.vip4}${CHAT_PATH}`, {
    headers: { Host: CHAT_HOST },
    createConnection: () => inNetnsUntilNextTick(net.client.path, () => connect({ host: net.vip4, port })),
  })
  const lines: string[] = []
  let over: string | undefined
  socket.on('message', (line) => lines.push(String(line)))
  socket.on('close', (code) => {
    over ??= `closed with ${code}`
  })
  socket.on('error', (error) => {
    over ??= error.message
  })
  await once(socket, 'open')
  return {
    say: (line: string) => socket.send(line),
    /** Every line of that part, each exactly once, and the connection still up. */
    async heard(count: number, when: string): Promise<void> {
      const ofNow = () => lines.filter((line) => line.includes(when))
      const deadlineMs = performance.now() + PATIENCE_MS
      while (ofNow().length < count && over === undefined && performance.now() < deadlineMs) {
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      expect(over === undefined, `the connection lives (${when})`, over)
      expect(
        ofNow().length === count && new Set(ofNow()).size === count,
        `every line is heard once (${when})`,
        ofNow(),
      )
    },
    async leave(): Promise<boolean> {
      socket.close(1000)
      const [code] = (await once(socket, 'close')) as [number]
      return code === 1000
    },
  }
}
