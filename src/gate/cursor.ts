/** Reads numbers and vectors (RFC 8446, 3.4: a length, then as many bytes) one after the other, never beyond the end. */
export class Cursor {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at
  }

  /** The next bytes as a view; undefined when there are not so many. */
  take(count: number): Buffer | undefined {
    if (count > this.left) return undefined
    const start = this.#at
    this.#at += count
    return this.#bytes.subarray(start, this.#at)
  }

  /** An unsigned number of 1 or 2 bytes, network order. */
  number(width: 1 | 2): number | undefined {
    return this.take(width)?.readUIntBE(0, width)
  }

  /** A vector whose length takes 1 or 2 bytes; undefined when it does not end here. */
  vector(width: 1 | 2): Buffer | undefined {
    const count = this.number(width)
    return count === undefined ? undefined : this.take(count)
  }
}
