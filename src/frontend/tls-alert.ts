import type { ErrorCode } from '../errors/index.js'

/** RFC 8446, 6; RFC 6066, 3 for unrecognized_name. */
const descriptions = {
  close_notify: 0,
  unexpected_message: 10,
  illegal_parameter: 47,
  decode_error: 50,
  protocol_version: 70,
  internal_error: 80,
  unrecognized_name: 112,
} as const

export type TlsAlert = keyof typeof descriptions

const ALERT_RECORD = 21
const WARNING = 1
const FATAL = 2
const TLS_1_0 = 0x0301
const TLS_1_2 = 0x0303

/**
 * An alert in a record of its own, unencrypted, as it may stand in place of a ServerHello.
 * @param version the client's `legacy_version`; default TLS 1.0, where it could not be read
 */
export function tlsAlert(alert: TlsAlert, version: number = TLS_1_0): Buffer {
  const record = Buffer.from([ALERT_RECORD, 0, 0, 0, 2, FATAL, descriptions[alert]])
  record.writeUInt16BE(Math.min(version, TLS_1_2), 1)
  // The only one that is no failure.
  if (alert === 'close_notify') record[5] = WARNING
  return record
}

/** What a TLS client is told instead of an HTTP status. */
export function alertOf(code: ErrorCode): TlsAlert {
  switch (code) {
    case 'BATON_NO_TLS_ROUTE':
      return 'unrecognized_name'
    case 'BATON_GATE_TLS_RECORD':
      return 'unexpected_message'
    case 'BATON_GATE_TLS_VERSION':
      return 'protocol_version'
    case 'BATON_GATE_TLS_PARAMETER':
      return 'illegal_parameter'
    case 'BATON_GATE_TLS_HELLO':
    case 'BATON_GATE_TLS_TOO_LARGE':
    case 'BATON_GATE_HEAD_CUT':
      return 'decode_error'
    case 'BATON_GATE_HEAD_TIMEOUT':
      return 'close_notify'
    default:
      return 'internal_error'
  }
}
