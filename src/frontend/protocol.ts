import type { ErrorCode } from '../errors/index.js'
import type { ReadCustomHead } from '../gate/index.js'

/**
 * A line protocol, or any other of which a client's first bytes say where its connection belongs. Give it as the
 * `protocol` of a listener: the frontend reads the head without taking it from the socket, chooses a pool by the routes
 * with `match.key`, and hands the connection over whole. Agents take it inline (a net.Server), by `tcp` or `adopt`.
 *
 * Who waits for the server to speak first cannot be served so: there is nothing to read.
 */
export interface CustomProtocol {
  readonly readHead: ReadCustomHead
  /**
   * What a client that is refused is told before its connection is closed, at most 4096 bytes; undefined: nothing.
   * Without it nobody is told anything.
   *
   * @param code among others BATON_GATE_CUSTOM_HEAD (the reader said `bad`), BATON_GATE_HEAD_TIMEOUT, _HEAD_TOO_LARGE,
   * _FULL, BATON_NO_ROUTE, BATON_NO_BACKEND
   */
  readonly refuse?: (code: ErrorCode) => string | Uint8Array | undefined
}

/** Longest answer of {@link CustomProtocol.refuse}. */
export const MAX_REFUSAL_BYTES = 4096
