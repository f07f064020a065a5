/**
 * A text that is mostly the one that came before: listeners, pools and congestion controls are few. Comparing bytes takes
 * no call into Node, which costs 10 µs where it comes to cold caches.
 */
export class KnownText {
  #last = ''

  /** The ASCII text in these bytes, if it is the last one; undefined: read it, and {@link keep} it. */
  match(bytes: Buffer, start: number, length: number): string | undefined {
    const last = this.#last
    if (last.length !== length) return undefined
    for (let index = 0; index < length; index++) {
      if (bytes[start + index] !== last.charCodeAt(index)) return undefined
    }
    return last
  }

  keep(text: string): string {
    this.#last = text
    return text
  }
}
