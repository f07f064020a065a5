import assert from 'node:assert/strict'
import { readRedisUrl } from '../../src/config/index.js'
import { flowKey } from '../../src/kernel/flow.js'
import {
  type BackendRecord,
  createRegistry,
  type FlowRecord,
  type Registry,
  type RegistryOptions,
} from '../../src/registry/index.js'

export function backend(id: string, change: Partial<BackendRecord> = {}): BackendRecord {
  return {
    id,
    pools: ['media'],
    agent: { address: '10.0.0.11', port: 7400 },
    address: { address: '10.0.0.11', port: 8080 },
    weight: 1,
    draining: false,
    active: 0,
    epoch: 1,
    ...change,
  }
}

/** The number decides addresses and ports. */
export function flow(number: number, change: Partial<Omit<FlowRecord, 'key'>> = {}): FlowRecord {
  const address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
  const key = flowKey({
    client: { address, port: 1024 + (number % 60_000) },
    vip: { address: '10.0.0.100', port: 80 },
  })
  return {
    key,
    agentId: 'media-1',
    agentEpoch: 77,
    frontendId: 'front-1',
    handoffId: 2 ** 40 + number,
    ...change,
  }
}

/** Lines that a registry logged. */
export class Lines {
  readonly lines: string[] = []
  info(_fields: object, message: string): void {
    this.lines.push(message)
  }
  warn(_fields: object, message: string): void {
    this.lines.push(message)
  }
}

export function redisRegistry(url: string, options: RegistryOptions = {}, keyPrefix = 'baton:'): Registry {
  const target = readRedisUrl(url)
  assert.ok(typeof target !== 'string', String(target))
  return createRegistry({ kind: 'redis', target, keyPrefix }, options)
}

export const ids = (registry: Registry): string[] => registry.backends().map(({ id }) => id)
