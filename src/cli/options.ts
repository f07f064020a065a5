/** -c FILE, of every command that reads a configuration. */
export const configOption = { config: { type: 'string', short: 'c' } } as const

/** @throws TypeError that main() reports as wrong usage */
export function needConfig(file: string | undefined, role: string): string {
  if (file !== undefined) return file
  const error = new TypeError(`${role} needs its configuration: -c FILE`)
  throw Object.assign(error, { code: 'ERR_PARSE_ARGS_NO_CONFIG' })
}
