import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Endpoint, endpointText } from '../../kernel/flow.js'
import type { ControlFacts } from './facts.js'
import { segmentSizes } from './interfaces.js'

const timeoutMs = 2000

/** What became of a try to reach somebody. */
export interface Answer {
  /** The first line that came back; empty when the peer closed without one. */
  readonly line: string
  /** Segment sizes of the connection in bytes, where ss told them. */
  readonly segments: { readonly agreed: number; readonly offered: number } | undefined
}

/** Connects, says something, and waits for a line. @throws Error when that takes longer than 2 s or is refused */
export async function ask(
  to: { readonly host: string; readonly port: number },
  words: string,
  tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer },
): Promise<Answer> {
  const signal = AbortSignal.timeout(timeoutMs)
  const socket: Socket = tls === undefined ? connect(to) : connectTls({ ...to, ...tls })
  try {
    await once(socket, tls === undefined ? 'connect' : 'secureConnect', { signal })
    const segments = socket.localPort === undefined ? undefined : await segmentSizes(socket.localPort)
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    const ended = once(socket, 'close', { signal })
    ended.catch(() => undefined) // told by the race below
    socket.write(words)
    while (!text.includes('\n') && !socket.destroyed) {
      await Promise.race([once(socket, 'data', { signal }), ended])
    }
    return { line: text.split('\n')[0]?.trim() ?? '', segments }
  } finally {
    socket.destroy()
  }
}

/** Whether something accepts connections there. @throws Error when nothing does within 2 s */
export async function accepts(to: { readonly host: string; readonly port: number }): Promise<void> {
  const socket = connect(to)
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) })
  } finally {
    socket.destroy()
  }
}

/**
 * Asks an agent for its control channel without the upgrade: a peer that knows us answers 426, a stranger's is 401.
 * @throws Error when nothing answers, or a file of `control` cannot be read
 */
export function askAgent(agent: Endpoint, control: ControlFacts): Promise<Answer> {
  const token = 'tokenFile' in control ? readFileSync(control.tokenFile, 'utf8').trim() : undefined
  const lines = [
    'GET /baton/v1/channel HTTP/1.1',
    `Host: ${endpointText(agent)}`,
    'Connection: close',
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
  ]
  const tls =
    'tls' in control
      ? {
          cert: readFileSync(control.tls.certFile),
          key: readFileSync(control.tls.keyFile),
          ca: readFileSync(control.tls.caFile),
        }
      : undefined
  return ask({ host: agent.address, port: agent.port }, `${lines.join('\r\n')}\r\n\r\n`, tls)
}
