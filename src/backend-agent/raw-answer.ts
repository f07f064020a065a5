import type { Duplex } from 'node:stream'

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})[ \r]/

/**
 * Tells the status of the first answer that is written on a socket as plain bytes: so do listeners of 'upgrade' (ws
 * among them), for which Node makes no ServerResponse. Told once, or never where the first bytes are no status line.
 */
export function onRawAnswer(socket: Duplex, tell: (status: number) => void): void {
  const { write, end } = socket
  const look = (chunk: unknown) => {
    // The methods of the class show again.
    if (socket.write === shadowWrite) Reflect.deleteProperty(socket, 'write')
    if (socket.end === shadowEnd) Reflect.deleteProperty(socket, 'end')
    const text = Buffer.isBuffer(chunk) ? chunk.toString('latin1', 0, 16) : String(chunk).slice(0, 16)
    const status = STATUS_LINE.exec(text)?.[1]
    if (status !== undefined) tell(Number(status))
  }
  function shadowWrite(this: Duplex, ...values: unknown[]): boolean {
    look(values[0])
    return Reflect.apply(write, this, values)
  }
  function shadowEnd(this: Duplex, ...values: unknown[]): Duplex {
    if (values[0] !== undefined && typeof values[0] !== 'function') look(values[0])
    return Reflect.apply(end, this, values)
  }
  Object.assign(socket, { write: shadowWrite, end: shadowEnd })
}
