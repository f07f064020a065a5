import { fileURLToPath } from 'node:url'
import type { Stage, Way } from './stage.js'

const program = fileURLToPath(new URL('./first-byte-client.js', import.meta.url))

/**
 * Microseconds from connect() to the first byte of the answer, `count` times for each way, in turn.
 * @throws BatonError BATON_LAB_COMMAND when an answer was not a whole 200
 */
export async function firstBytes(
  stage: Stage,
  ways: readonly Way[],
  count: number,
  pauseMs = 0,
): Promise<number[][]> {
  const targets = ways.map(({ address, port, path }) => `${address},${port},${path}`)
  const args = [program, String(count), String(pauseMs), ...targets]
  return JSON.parse(await stage.net.client.run(process.execPath, args)) as number[][]
}
