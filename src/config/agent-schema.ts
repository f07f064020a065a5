import { type Static, Type } from '@sinclair/typebox'
import {
  admin,
  control,
  count,
  endpoint,
  group,
  logLevel,
  name,
  proxyProtocol,
  registry,
} from './parts-schema.js'

const deliverTimeouts = {
  connectTimeoutMs: count(
    'Time to connect to the application; later gets 502 (http) or a reset (tcp).',
    3000,
    10,
    600_000,
  ),
}

const toHttp = group(
  {
    kind: Type.Literal('http', {
      description: 'Any HTTP server: the agent is a reverse proxy on its host.',
    }),
    address: endpoint('Where the application listens.'),
    ...deliverTimeouts,
    responseTimeoutMs: count(
      'Time for it to begin its answer; later gets 504. 0: no limit.',
      60_000,
      0,
      86_400_000,
    ),
  },
  'To an HTTP server.',
)

const toTcp = group(
  {
    kind: Type.Literal('tcp', { description: 'Anything: the bytes are piped both ways.' }),
    address: endpoint('Where the application listens.'),
    proxyProtocol: proxyProtocol(
      'What each connection to it begins with: a PROXY protocol header of that version, which says who the client is.',
    ),
    ...deliverTimeouts,
  },
  'To any TCP server.',
)

const deliver = Type.Union(
  [
    toHttp,
    toTcp,
    group(
      {
        kind: Type.Literal('adopt', {
          description:
            'Any program, unmodified: the kernel puts the connection into its accept queue (Linux ≥ 6.8).',
        }),
        address: endpoint('Where the application listens; the port may be another than the VIP’s.'),
        session: Type.Literal('connection', {
          description:
            'Always connection: it stays the application’s to its end. Later requests on it are not routed, so a pool that shares a listener with other pools should not use adopt.',
        }),
        fallback: Type.Optional(
          Type.Union([toHttp, toTcp], {
            description:
              'How connections are served that cannot be adopted, and all of them on a kernel that cannot adopt. Left out: they are refused, and the agent does not start there.',
          }),
        ),
      },
      'Into the accept queue of a listening socket.',
    ),
    group(
      {
        kind: Type.Literal('inline', {
          description: 'A server in the same Node process; createAgent() only.',
        }),
      },
      'To a server in this process.',
      { programOnly: true },
    ),
  ],
  {
    description: 'How the application gets the connections.',
  },
)

/** agent.yaml. */
export const agentSchema = group(
  {
    id: name('Name of this backend; the same as its id in frontend.yaml.'),
    pools: Type.Array(name('A pool.'), { minItems: 1, description: 'Pools that it serves.' }),
    address: Type.Optional(
      endpoint('Where frontends may relay to, announced in Redis. Left out: only what frontend.yaml says.'),
    ),
    weight: count('Share of the connections, announced in Redis.', 1, 1, 1000),
    control: control({
      address: endpoint('Where frontends reach this agent. Port 0: any free one, for tests.', {
        anyPort: true,
      }),
    }),
    vips: Type.Array(Type.String({ format: 'ip-address', description: 'An IPv4 or IPv6 address.' }), {
      minItems: 1,
      description: 'The addresses of the frontends’ listeners; this host must have them on lo.',
    }),
    interface: Type.Optional(
      Type.String({
        description:
          'The interface on the frontends’ segment, for the checks. Left out: found by the control address.',
        pattern: '^[^\\s/:]{1,15}$',
        expects: 'the name of a network interface, at most 15 bytes',
      }),
    ),
    hostSetup: Type.Unsafe<'apply' | 'check' | 'off'>({
      type: 'string',
      enum: ['apply', 'check', 'off'],
      default: 'apply',
      description: 'VIPs on lo and ARP settings: put in place what is missing, only warn, or leave it alone.',
    }),
    deliver,
    capacity: count('Offers that it takes at once.', 1024, 1, 65_535),
    limits: group(
      {
        headBytes: count(
          'Longest head of a request that follows on a kept connection, in bytes; a longer one gets 431.',
          16_384,
          256,
          262_144,
        ),
        maxConnections: count(
          'Connections that it serves at once; further offers are refused. 0: no limit.',
          0,
          0,
          10_000_000,
        ),
      },
      'What it takes.',
      true,
    ),
    timeouts: group(
      {
        keepAliveTimeoutMs: count(
          'Time to wait for the next request on a kept connection. 0: no limit.',
          60_000,
          0,
          86_400_000,
        ),
        headTimeoutMs: count(
          'Time for the whole head of a request that follows to arrive; later gets 408.',
          10_000,
          100,
          600_000,
        ),
        idleTimeoutMs: count(
          'Time without a byte either way after which a connection is closed. 0: no limit.',
          300_000,
          0,
          86_400_000,
        ),
        drainTimeoutMs: count('Time that a stop waits for connections to end.', 30_000, 0, 86_400_000),
      },
      'Waiting.',
      true,
    ),
    registry,
    admin: admin('127.0.0.1:9901'),
    log: group({ level: logLevel }, 'What is written down.', true),
  },
  'Baton agent configuration.',
)

export type AgentFile = Static<typeof agentSchema>
