import { isUtf8 } from 'node:buffer'
import { BatonError } from '../errors/index.js'
import { copyOf } from '../kernel/bytes.js'
import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import type { KnownText } from './known-text.js'
import { MAX_NAME_BYTES } from './limits.js'
import { flowKind } from './put.js'

/** Refuses a frame. @throws BatonError BATON_FRAME_MALFORMED */
export function malformed(detail: string): never {
  throw new BatonError('BATON_FRAME_MALFORMED', { detail })
}

/**
 * A cursor over the body of one frame. Every read checks that the body has the bytes and that they are the one way to
 * write their value; so what was read writes back to the same bytes.
 */
export class Take {
  constructor(
    readonly bytes: Buffer,
    public at: number,
    readonly end: number,
  ) {}

  /** Moves past `count` bytes and returns where they began. */
  skip(count: number): number {
    const start = this.at
    if (count > this.end - start) malformed('The frame ends within a field.')
    this.at = start + count
    return start
  }

  u8(max = 0xff): number {
    const value = this.bytes[this.skip(1)]!
    if (value > max) malformed(`A byte is ${value}, at most ${max} is allowed.`)
    return value
  }

  u16(): number {
    return this.bytes.readUInt16BE(this.skip(2))
  }

  u32(): number {
    return this.bytes.readUInt32BE(this.skip(4))
  }

  u53(): number {
    const start = this.skip(8)
    const high = this.bytes.readUInt32BE(start)
    if (high > 0x1f_ffff) malformed('A number is 2^53 or more.')
    return high * 0x1_0000_0000 + this.bytes.readUInt32BE(start + 4)
  }

  boolean(): boolean {
    return this.u8(1) === 1
  }

  /** @param known names of this field that came before */
  name(minBytes = 0, known?: KnownText): string {
    const length = this.u8(MAX_NAME_BYTES)
    if (length < minBytes) malformed('A name is empty.')
    const start = this.skip(length)
    const last = known?.match(this.bytes, start, length)
    if (last !== undefined) return last
    for (let index = start; index < start + length; index++) {
      const byte = this.bytes[index]!
      if (byte < 0x21 || byte > 0x7e) malformed('A name holds a byte that is not printable ASCII.')
    }
    const name = this.bytes.toString('latin1', start, start + length)
    return known?.keep(name) ?? name
  }

  /** The next `count` bytes as UTF-8. */
  text(count: number): string {
    const start = this.skip(count)
    const view = this.bytes.subarray(start, start + count)
    if (!isUtf8(view)) malformed('A text is not UTF-8.')
    return view.toString('utf8')
  }

  /** A copy, so that it may outlive the chunk. */
  copy(count: number): Buffer {
    return copyOf(this.bytes, this.skip(count), count)
  }

  flow(): FlowKey {
    if (flowKind(this.bytes, this.skip(FLOW_KEY_BYTES)) === undefined)
      malformed('No socket can have this flow.')
    this.at -= FLOW_KEY_BYTES
    return this.copy(FLOW_KEY_BYTES)
  }

  /** Bytes left. */
  get left(): number {
    return this.end - this.at
  }

  finish(): void {
    if (this.at !== this.end) malformed(`The frame has ${this.left} bytes too many.`)
  }
}
