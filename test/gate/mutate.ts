/** xorshift32: the same heads in every run. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 1
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % limit
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }
}

const pieces = [
  '\r\n',
  '\n',
  '\r',
  ' ',
  '\t',
  '\0',
  '\x7f',
  '\xff',
  ':',
  ',',
  ' ,',
  ', ',
  ';',
  '/',
  '//',
  '/../',
  '%2e',
  '%2F',
  '#',
  '?',
  '*',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'GET ',
  'POST ',
  'close',
  'keep-alive',
  'upgrade',
  'chunked',
  'gzip, ',
  '\r\nHost: b',
  '\r\nContent-Length: 3',
  '\r\nContent-Length: 0',
  '\r\nTransfer-Encoding: chunked',
  '\r\nTransfer-Encoding: ',
  '\r\nConnection: ',
  '\r\nConnection: close',
  '\r\nConnection: upgrade\r\nUpgrade: x',
  '\r\nUpgrade: h2c',
  '\r\nExpect: 100-continue',
  '\r\n ',
  '\r\n\r\n',
] as const

/** One to four random changes: bytes flipped, taken out, put in, lines doubled, pieces of other heads. */
export function mutate(random: Random, heads: readonly string[]): string {
  let text = random.pick(heads)
  for (let change = random.below(4); change >= 0; change--) {
    const at = random.below(text.length + 1)
    switch (random.below(7)) {
      case 0:
        text = text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1)
        break
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + random.below(4))
        break
      case 2:
      case 3:
        text = text.slice(0, at) + random.pick(pieces) + text.slice(at)
        break
      case 4: {
        const lineEnd = text.indexOf('\r\n', at)
        if (lineEnd >= 0) text = text.slice(0, lineEnd) + random.pick(pieces) + text.slice(lineEnd)
        break
      }
      case 5: {
        const lines = text.split('\r\n')
        lines.splice(random.below(lines.length), 0, random.pick(lines))
        text = lines.join('\r\n')
        break
      }
      default: {
        const other = random.pick(heads)
        text = text.slice(0, at) + other.slice(random.below(other.length))
      }
    }
  }
  return text
}
