/** Bits of {@link classOf}. */
export const TOKEN = 1
/** May stand in a request target: visible ASCII but the number sign. */
export const TARGET = 2
/** May stand in a field value: visible ASCII, space, tab, and obs-text (RFC 9110, 5.5). */
export const VALUE = 4

export const TAB = 9
export const LF = 10
export const CR = 13
export const SPACE = 32
export const PERCENT = 37
export const DOT = 46
export const SLASH = 47
export const COLON = 58
export const QUESTION = 63
export const BACKSLASH = 92

/** The classes of each byte. */
export const classOf = new Uint8Array(256)

for (let byte = 0; byte < 256; byte++) {
  const visible = byte > SPACE && byte < 127
  let bits = 0
  if (visible && !'"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(byte))) bits |= TOKEN
  if (visible && byte !== 35) bits |= TARGET
  if (visible || byte === SPACE || byte === TAB || byte >= 128) bits |= VALUE
  classOf[byte] = bits
}
