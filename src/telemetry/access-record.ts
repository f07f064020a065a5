import { isoTime, jsonText } from './json-text.js'

/** What only the Apache formats have; read where one of them is configured. */
export interface ClientFields {
  /** 1.0 or 1.1. */
  readonly httpVersion: string
  readonly referer: string | null
  readonly userAgent: string | null
}

/** One line of the access log: a connection's request that was handed over, relayed or refused. */
export interface AccessRecord {
  /** When the connection was accepted, ms since the epoch. */
  readonly time: number
  /** Ids from the configuration. */
  readonly frontend: string
  readonly listener: string
  /** ADDRESS:PORT. */
  readonly client: string
  /** The balancer in front that says who the client is (PROXY protocol); null without one. */
  readonly via: string | null
  readonly vip: string
  /** Null where no head was read. */
  readonly method: string | null
  readonly path: string | null
  readonly host: string | null
  /** Index of the route that matched. */
  readonly route: number | null
  readonly pool: string | null
  /** Id of the backend that served it. */
  readonly backend: string | null
  readonly how: 'handoff' | 'relay' | 'reject'
  /** Why it was relayed or refused; null for a handoff. */
  readonly reason: string | null
  /** Of the last answer; null where unknown: a handed-over connection's agent may not read it. */
  readonly status: number | null
  /** Requests that were answered on it; null where nobody counted. */
  readonly requests: number | null
  /** From the client and to it. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** From accept to the end. */
  readonly durationMs: number
  readonly phases: {
    /** From accept to the whole head. */
    readonly headMs: number
    /** From there to the decision. */
    readonly chooseMs: number | null
    /** From there until the agent answered. */
    readonly handoffMs: number | null
  }
  /** Who or what ended it: client, backend, error, timeout, drain, moved, reject. */
  readonly cause: string
  /** Of the request; left out where it was not read. */
  readonly clientFields?: ClientFields | undefined
}

export type AccessLogFormat = 'json' | 'common' | 'combined'

/** One line with its newline; nothing that a client sent can begin another line or leave its field. */
export function formatAccess(record: AccessRecord, format: AccessLogFormat): string {
  if (format === 'json') return jsonLine(record)
  const fields = record.clientFields
  const client = record.client.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  const request =
    record.method === null
      ? '-'
      : `${quote(record.method)} ${quote(record.path ?? '-')} HTTP/${fields?.httpVersion ?? '1.1'}`
  const line = `${client} - - [${commonTime(record.time)}] "${request}" ${record.status ?? '-'} ${record.bytesOut}`
  if (format === 'common') return `${line}\n`
  return `${line} "${quote(fields?.referer ?? '-')}" "${quote(fields?.userAgent ?? '-')}"\n`
}

/** Put together by hand: a third of the cost of JSON.stringify, on the way of every connection. */
function jsonLine(record: AccessRecord): string {
  const { headMs, chooseMs, handoffMs } = record.phases
  const request = `"method":${jsonText(record.method)},"path":${jsonText(record.path)},"host":${jsonText(record.host)}`
  const place = `"route":${record.route},"pool":${jsonText(record.pool)},"backend":${jsonText(record.backend)}`
  const how = `"how":"${record.how}","reason":${jsonText(record.reason)},"status":${record.status},"requests":${record.requests}`
  const size = `"bytesIn":${record.bytesIn},"bytesOut":${record.bytesOut},"durationMs":${record.durationMs}`
  const phases = `"phases":{"headMs":${headMs},"chooseMs":${chooseMs},"handoffMs":${handoffMs}}`
  const ends = `"client":${jsonText(record.client)},"via":${jsonText(record.via)},"vip":${jsonText(record.vip)}`
  const start = `"time":"${isoTime(record.time)}","listener":${jsonText(record.listener)},${ends}`
  const end = `"cause":${jsonText(record.cause)},"frontend":${jsonText(record.frontend)}`
  return `{${start},${request},${place},${how},${size},${phases},${end}}\n`
}

/** Quotes, backslashes, control characters and what is not ASCII as \xHH, as nginx and Apache write them. */
function quote(text: string): string {
  return text.replace(/[^\x20-\x7e]|["\\]/g, (char) =>
    [...Buffer.from(char, 'utf8')]
      .map((byte) => `\\x${byte.toString(16).padStart(2, '0').toUpperCase()}`)
      .join(''),
  )
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** 23/Nov/2026:13:05:09 +0000; in UTC. */
function commonTime(time: number): string {
  const date = new Date(time)
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`
}
