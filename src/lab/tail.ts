/** The last bytes of a program's output, for messages and for waiting; bounded whatever the program prints. */
export class Tail {
  readonly #maxCharacters: number
  #text = ''

  constructor(maxCharacters = 64 * 1024) {
    this.#maxCharacters = maxCharacters
  }

  push(chunk: string): void {
    this.#text += chunk
    if (this.#text.length > this.#maxCharacters * 2) this.#text = this.#text.slice(-this.#maxCharacters)
  }

  get text(): string {
    return this.#text.slice(-this.#maxCharacters)
  }

  /** The last lines, indented, for an error message. */
  lastLines(count = 20): string {
    const lines = this.#text.trimEnd().split('\n').slice(-count)
    return lines.map((line) => `  | ${line}`).join('\n')
  }
}
