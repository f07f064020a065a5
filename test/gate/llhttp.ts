import { createRequire } from 'node:module'

/** What Node's own parser makes of a stream of requests. */
export interface Framing {
  readonly requests: {
    method: string
    url: string
    keepAlive: boolean
    upgrade: boolean
    bodyBytes: number
    ended: boolean
  }[]
  /** Set when it refuses: HPE_… */
  readonly error: string | undefined
  /** Bytes after which it stopped, where an upgrade ends HTTP. */
  readonly consumed: number | undefined
}

type HeadersComplete = (
  major: number,
  minor: number,
  headers: string[],
  method: number,
  url: string,
  status: undefined,
  message: undefined,
  upgrade: boolean,
  keepAlive: boolean,
) => number

interface Parser {
  initialize(type: number, resource: object, maxHeaderBytes: number, lenient: number): void
  execute(bytes: Buffer): number | (Error & { code: string })
  [event: number]: HeadersComplete | ((bytes: Buffer) => void) | (() => void)
}

interface ParserClass {
  new (): Parser
  readonly REQUEST: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
}

const common: { HTTPParser: ParserClass; methods: string[] } = createRequire(import.meta.url)('_http_common')
const { HTTPParser } = common
const parser = new HTTPParser()

/** Runs llhttp, as strict as Node's servers have it, over the bytes. */
export function llhttp(bytes: Buffer): Framing {
  const requests: Framing['requests'] = []
  // Fields come in lots of 32: what has been handed over so far, and the URL with the first lot.
  let earlyUrl = ''
  parser.initialize(HTTPParser.REQUEST, {}, 256 * 1024, 0)
  parser[HTTPParser.kOnHeaders] = ((_headers: string[], url: string) => {
    earlyUrl += url
  }) as unknown as () => void
  parser[HTTPParser.kOnHeadersComplete] = (
    _major,
    _minor,
    _headers,
    method,
    url,
    _status,
    _message,
    upgrade,
    keepAlive,
  ) => {
    requests.push({
      method: common.methods[method] ?? '',
      url: url ?? earlyUrl,
      keepAlive,
      upgrade,
      bodyBytes: 0,
      ended: false,
    })
    earlyUrl = ''
    return 0
  }
  parser[HTTPParser.kOnBody] = (body: Buffer) => {
    const last = requests.at(-1)
    if (last) last.bodyBytes += body.length
  }
  parser[HTTPParser.kOnMessageComplete] = () => {
    const last = requests.at(-1)
    if (last) last.ended = true
  }
  const result = parser.execute(bytes)
  return typeof result === 'number'
    ? { requests, error: undefined, consumed: result }
    : { requests, error: result.code, consumed: undefined }
}
