import { readAuthority } from './authority.js'
import { Cursor } from './cursor.js'
import { type BadHead, bad } from './head-result.js'

export const serverNameExtension = 0
export const alpnExtension = 16

const HOST_NAME = 0

/**
 * server_name (RFC 6066, 3): a list with one host name. Other kinds of name were never defined, and a list with two
 * names would let two readers choose differently.
 *
 * @returns lower case, without trailing dot
 */
export function readServerName(data: Buffer): string | BadHead {
  const extension = new Cursor(data)
  const names = extension.vector(2)
  if (names === undefined || extension.left > 0) return cut('server name')
  const list = new Cursor(names)
  const kind = list.number(1)
  const name = list.vector(2)
  if (kind === undefined || name === undefined || name.length === 0) return cut('server name')
  if (kind !== HOST_NAME) return bad('BATON_GATE_TLS_PARAMETER', `A server name of kind ${kind}.`)
  if (list.left > 0) return bad('BATON_GATE_TLS_PARAMETER', 'More than one server name.')
  const text = name.toString('latin1')
  const host = /[:[\]]/.test(text) ? null : (readAuthority(text)?.host ?? null)
  return host ?? bad('BATON_GATE_TLS_PARAMETER', 'The server name is no host name.')
}

/** application_layer_protocol_negotiation (RFC 7301, 3.1): one or more names of 1 to 255 bytes. */
export function readAlpn(data: Buffer): readonly string[] | BadHead {
  const extension = new Cursor(data)
  const names = extension.vector(2)
  if (names === undefined || names.length === 0 || extension.left > 0) return cut('protocols')
  const list = new Cursor(names)
  const offered: string[] = []
  while (list.left > 0) {
    const name = list.vector(1)
    if (name === undefined || name.length === 0) return cut('protocols')
    offered.push(name.toString('latin1'))
  }
  return offered
}

function cut(what: string): BadHead {
  return bad('BATON_GATE_TLS_HELLO', `At its ${what}.`)
}
