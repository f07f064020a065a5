import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentSchema } from '../../src/config/agent-schema.js'
import { frontendSchema } from '../../src/config/frontend-schema.js'
import type { SchemaNode } from '../../src/config/shape.js'
import type { AgentOptions, FrontendOptions } from '../../src/index.js'

/** Every key there, whatever the form of the object; functions and the like as they are. */
type Whole<T> = T extends (...values: never[]) => unknown
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Whole<Item>[]
    : T extends object
      ? { [Key in keyof T]-?: Whole<NonNullable<T[Key]>> }
      : T

/** Keys of all forms of a union, so that one object may show them all. */
type Key<T> = T extends unknown ? keyof T : never
type AllForms<T> = { [K in Key<T>]: T extends { [One in K]?: infer Value } ? Value : never }

const file = { certFile: '', keyFile: '', caFile: '' }
const registry: AllForms<Whole<NonNullable<AgentOptions['registry']>>> = {
  kind: 'redis',
  url: '',
  urlFile: '',
  keyPrefix: '',
}

// The compiler holds these to the types of the options, the tests to the schemas: a key that one of them lacks shows.
const frontend: Omit<Whole<FrontendOptions>, 'registry' | 'control' | 'routes'> & {
  registry: typeof registry
  control: AllForms<Whole<NonNullable<FrontendOptions['control']>>>
  routes: readonly {
    match: Omit<Whole<FrontendOptions['routes'][number]['match']>, 'path'> & {
      path: { exact: string; prefix: string }
    }
    pool: string
  }[]
} = {
  id: '',
  listeners: [{ name: '', address: '', protocol: 'http', backlog: 1, proxyProtocol: { from: [''] } }],
  routes: [
    {
      match: { host: '', path: { exact: '', prefix: '' }, sni: '', alpn: '', listeners: [''], key: '' },
      pool: '',
    },
  ],
  pools: {
    NAME: {
      balance: 'roundRobin',
      handoff: 'auto',
      proxyProtocol: 'off',
      backends: [{ id: '', agent: '', address: '', weight: 1 }],
    },
  },
  limits: { headBytes: 1, headTimeoutMs: 1, maxConnections: 1, maxConnectionsPerClient: 1 },
  timeouts: { connectTimeoutMs: 1, responseTimeoutMs: 1, idleTimeoutMs: 1, drainTimeoutMs: 1 },
  handoff: { budgetMs: 1, unknownTimeoutMs: 1 },
  steering: { interface: '', attach: 'auto', pinPath: '', maxFlows: 1, lingerMs: 1, idleMs: 1 },
  registry,
  control: { tokenFile: '', tls: file },
  admin: { address: '' },
  log: { level: 'info', accessLog: '', accessLogFormat: 'json' },
}

const proxy = {
  kind: 'http',
  address: '',
  proxyProtocol: 'off',
  connectTimeoutMs: 1,
  responseTimeoutMs: 1,
} as const

const agent: Omit<Whole<AgentOptions>, 'server' | 'registry' | 'control' | 'deliver'> & {
  registry: typeof registry
  control: AllForms<Whole<AgentOptions['control']>>
  deliver: AllForms<Whole<NonNullable<AgentOptions['deliver']>>>
} = {
  id: '',
  pools: [''],
  control: { address: '', tokenFile: '', tls: file },
  vips: [''],
  deliver: {
    ...proxy,
    session: 'connection',
    fallback: proxy,
  },
  address: '',
  weight: 1,
  interface: '',
  hostSetup: 'apply',
  capacity: 1,
  limits: { headBytes: 1, maxConnections: 1 },
  timeouts: { keepAliveTimeoutMs: 1, headTimeoutMs: 1, idleTimeoutMs: 1, drainTimeoutMs: 1 },
  registry,
  admin: { address: '' },
  log: { level: 'info' },
}

/** `limits.headBytes`, `routes[].match.host`, `pools.NAME.balance` … of a schema, groups without their own name. */
function keysOf(schema: SchemaNode, path = ''): string[] {
  const inner = schema.items ?? Object.values(schema.patternProperties ?? {})[0]
  if (schema.items !== undefined) return keysOf(schema.items, `${path}[]`)
  if (inner !== undefined) return keysOf(inner, `${path}.NAME`)
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((form) => keysOf(form, path))
  if (schema.properties === undefined) return [path]
  return Object.entries(schema.properties).flatMap(([key, node]) =>
    keysOf(node, path === '' ? key : `${path}.${key}`),
  )
}

function pathsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => pathsOf(item, `${path}[]`))
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, path === '' ? key : `${path}.${key}`))
}

const sorted = (keys: readonly string[]) => [...new Set(keys)].sort()

test('FrontendOptions has the keys of frontend.yaml, no more and no fewer', () => {
  assert.deepEqual(sorted(pathsOf(frontend)), sorted(keysOf(frontendSchema)))
})

test('AgentOptions has the keys of agent.yaml, no more and no fewer', () => {
  assert.deepEqual(sorted(pathsOf(agent)), sorted(keysOf(agentSchema)))
})
