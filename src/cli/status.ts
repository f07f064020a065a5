import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { request } from 'undici'
import type { AgentStatus } from '../backend-agent/index.js'
import type { FrontendStatus } from '../frontend/index.js'
import { agentPage, frontendPage } from './status-page.js'

const REFRESH_MS = 1000
const PATIENCE_MS = 3000

type Status = FrontendStatus | AgentStatus
type Answer = { readonly text: string; readonly status: Status } | { readonly trouble: string }

/** `baton status`: a live table on a terminal, one table elsewhere, or the JSON as it is. */
export async function run(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      admin: { type: 'string', default: 'http://127.0.0.1:9900' },
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const url = statusUrl(values.admin)
  if (url === undefined) {
    process.stderr.write(
      `baton: --admin takes ADDRESS:PORT or a URL, not "${values.admin}"; see baton status --help\n`,
    )
    return 2
  }
  const first = await ask(url)
  if ('trouble' in first) {
    process.stderr.write(`baton: ${first.trouble}\n`)
    return 1
  }
  if (values.json) process.stdout.write(`${first.text}\n`)
  else if (values.once || !process.stdout.isTTY) process.stdout.write(page(first.status))
  else await watch(url, first)
  return 0
}

/** Until Ctrl-C; a process that goes away meanwhile may come back. */
async function watch(url: URL, first: Answer): Promise<never> {
  let before: Status | undefined
  let shown = ''
  for (let answer = first; ; answer = await ask(url)) {
    if ('trouble' in answer) {
      draw(`${shown}\n  ${answer.trouble}\n`)
      before = undefined
    } else {
      shown = page(answer.status, before)
      before = answer.status
      draw(`${shown}\n  every second; Ctrl-C ends\n`)
    }
    await sleep(REFRESH_MS)
  }
}

/** Over what stands there, line by line, so that nothing flickers; lines that are too long are cut. */
function draw(text: string): void {
  const { columns = 200 } = process.stdout
  const lines = text.split('\n').map((line) => `${line.slice(0, columns)}\u001b[K`)
  process.stdout.write(`\u001b[H${lines.join('\n')}\u001b[J`)
}

function page(status: Status, before?: Status): string {
  if (status.role === 'agent') return agentPage(status)
  // Of another process, the counts say nothing about this one.
  const same = before?.role === 'frontend' && before.startedAt === status.startedAt
  return frontendPage(status, same ? before : undefined)
}

function statusUrl(admin: string): URL | undefined {
  const text = admin.includes('://') ? admin : `http://${admin}`
  if (!URL.canParse(text)) return undefined
  const url = new URL('/v1/status', text)
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined
}

async function ask(url: URL): Promise<Answer> {
  const notBaton = { trouble: `${url.href} is not Baton's admin address; give it with --admin` }
  try {
    const answer = await request(url, { headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) return notBaton
    const status = parse(text)
    return status === undefined ? notBaton : { text, status }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return {
      trouble: `no Baton process answers at ${url.href} (${why}); give its admin address with --admin`,
    }
  }
}

/** Undefined when it is not a status; one of Baton's own is believed. */
function parse(text: string): Status | undefined {
  try {
    const status: unknown = JSON.parse(text)
    const known =
      typeof status === 'object' &&
      status !== null &&
      'role' in status &&
      (status.role === 'frontend' || status.role === 'agent')
    return known ? (status as Status) : undefined
  } catch {
    return undefined
  }
}
