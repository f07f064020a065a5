/** Nothing that JSON escapes. */
const plain = /^[ !#-[\]-~]*$/

/** A string as JSON has it. JSON.stringify costs several times as much for the plain ones, which nearly all are. */
export function jsonText(text: string | null): string {
  if (text === null) return 'null'
  return plain.test(text) ? `"${text}"` : JSON.stringify(text)
}

let second = Number.NaN
let upToSecond = ''

/** As Date.prototype.toISOString(), for times of which many are in one second. */
export function isoTime(timeMs: number): string {
  const current = Math.floor(timeMs / 1000)
  if (current !== second) {
    upToSecond = new Date(current * 1000).toISOString().slice(0, -4)
    second = current
  }
  const ms = Math.floor(timeMs) - current * 1000
  return `${upToSecond}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
}
