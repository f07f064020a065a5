import { type BadHead, bad, type HeadReader, type HeadResult, incomplete } from './head-result.js'

/** What a head reader of the program's own found. The bytes themselves travel on as they came. */
export interface CustomHead {
  readonly kind: 'custom'
  readonly key: string
  readonly headBytes: number
}

/** What such a reader returns. */
export type ReadHead =
  /** Call again when more has come. */
  | { readonly kind: 'incomplete' }
  | {
      readonly kind: 'head'
      /** How many of the bytes the head is: 0 to as many as there are. What follows is not looked at. */
      readonly headBytes: number
      /** What the routes' `match.key` is compared with: 1 to 256 characters. */
      readonly key: string
    }
  /** The client is refused. */
  | { readonly kind: 'bad'; readonly reason: string }

/**
 * Reads what a client says first. Must be pure and quick: it runs in the frontend's only thread, and sees the same bytes
 * again, and more, each time that some arrive.
 *
 * @param bytes all that has arrived, at most `maxHeadBytes`; a view that is valid during the call only
 * @param maxHeadBytes `limits.headBytes`: a head that is not whole by then is refused
 */
export type ReadCustomHead = (bytes: Buffer, maxHeadBytes: number) => ReadHead

const MAX_KEY_LENGTH = 256

/**
 * The program's reader as one of the gate's, which believes nothing that it says and lets it throw.
 * @param onMistake told when the reader itself is wrong; the client is refused then
 */
export function customReader(
  read: ReadCustomHead,
  onMistake: (detail: string, cause?: unknown) => void,
): HeadReader<CustomHead> {
  const wrong = (detail: string, cause?: unknown): BadHead => {
    onMistake(detail, cause)
    return bad('BATON_GATE_READER', detail)
  }
  return (bytes, length, maxHeadBytes) => {
    const seen = bytes.subarray(0, Math.min(length, maxHeadBytes))
    let result: ReadHead
    try {
      result = read(seen, maxHeadBytes)
    } catch (error) {
      return wrong('It threw.', error)
    }
    const mistake = mistakeIn(result, seen.length)
    return mistake === undefined ? judged(result, seen.length, maxHeadBytes) : wrong(mistake)
  }
}

function judged(result: ReadHead, length: number, maxHeadBytes: number): HeadResult<CustomHead> {
  switch (result.kind) {
    case 'incomplete':
      return length < maxHeadBytes
        ? incomplete
        : bad('BATON_GATE_HEAD_TOO_LARGE', `The limit is ${maxHeadBytes} bytes.`)
    case 'bad':
      return bad('BATON_GATE_CUSTOM_HEAD', result.reason)
    case 'head':
      return { kind: 'head', head: { kind: 'custom', key: result.key, headBytes: result.headBytes } }
    default:
      return result satisfies never
  }
}

/** What no caller of ours relies on the types for: the reader may be plain JavaScript. */
function mistakeIn(result: ReadHead | undefined | null, length: number): string | undefined {
  if (result?.kind === 'incomplete') return undefined
  if (result?.kind === 'bad') return typeof result.reason === 'string' ? undefined : 'Its reason is no text.'
  if (result?.kind !== 'head') return 'It returned neither a head, nor incomplete, nor bad.'
  const { key, headBytes } = result
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY_LENGTH) {
    return `Its key is no text of 1 to ${MAX_KEY_LENGTH} characters.`
  }
  return Number.isInteger(headBytes) && headBytes >= 0 && headBytes <= length
    ? undefined
    : `Its headBytes is ${String(headBytes)}, and ${length} bytes are there.`
}
