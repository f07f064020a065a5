import type { FlowWrite } from './flow-queue.js'
import type { RedisClient } from './redis-client.js'
import { generationExpiry } from './redis-keys.js'

/**
 * Writes many notes in one command: the client's work for a command is many times that for an argument.
 * ARGV: the expiry of new hashes; then for each write the index of its hash, the field, and the value (empty: delete).
 * Answers with index and message of each write that was refused.
 */
const SCRIPT = `
local refused = {}
for at = 2, #ARGV, 3 do
  local key = KEYS[tonumber(ARGV[at])]
  local answer
  if ARGV[at + 2] == '' then
    answer = redis.pcall('HDEL', key, ARGV[at + 1])
  else
    answer = redis.pcall('HSET', key, ARGV[at + 1], ARGV[at + 2])
    if redis.call('TTL', key) == -1 then redis.call('EXPIREAT', key, ARGV[1]) end
  end
  if type(answer) == 'table' and answer.err then
    refused[#refused + 1] = (at - 2) / 3
    refused[#refused + 1] = answer.err
  end
end
return refused`

export interface Refusal {
  readonly write: FlowWrite
  /** Redis's error answer. */
  readonly message: string
}

/** Collects writes to hashes of one slot, or of any where there is no cluster. */
export class FlowScript {
  readonly #keys = new Map<string, number>()
  readonly #args: (string | number | Buffer)[]
  readonly #owners: FlowWrite[] = []

  /** @param generation whose end decides the expiry of new hashes */
  constructor(generation: number) {
    this.#args = [generationExpiry(generation)]
  }

  set(owner: FlowWrite, key: string, value: string): void {
    this.#owners.push(owner)
    this.#args.push(this.#indexOf(key), owner.key, value)
  }

  delete(owner: FlowWrite, key: string): void {
    this.#owners.push(owner)
    this.#args.push(this.#indexOf(key), owner.key, '')
  }

  #indexOf(key: string): number {
    let index = this.#keys.get(key)
    if (index === undefined) {
      index = this.#keys.size + 1
      this.#keys.set(key, index)
    }
    return index
  }

  /** @throws when the connection fails, or Redis refuses the script as a whole */
  async run(client: RedisClient): Promise<Refusal[]> {
    const answer = await client.eval(SCRIPT, this.#keys.size, ...this.#keys.keys(), ...this.#args)
    const refused: readonly unknown[] = Array.isArray(answer) ? answer : []
    return refused.flatMap((message, at) => {
      const write = this.#owners[Number(refused[at - 1])]
      return at % 2 === 1 && write !== undefined ? [{ write, message: String(message) }] : []
    })
  }
}
