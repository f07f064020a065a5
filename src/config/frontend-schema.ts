import { hostname } from 'node:os'
import { type Static, Type } from '@sinclair/typebox'
import {
  admin,
  control,
  count,
  endpoint,
  file,
  group,
  logLevel,
  name,
  network,
  oneOf,
  proxyProtocol,
  registry,
} from './parts-schema.js'

const listener = group(
  {
    name: name('Its name in logs and metrics.'),
    address: endpoint('The VIP and port to listen on. Port 0: any free one, for tests.', { anyPort: true }),
    protocol: oneOf(['http', 'tls', 'tcp', 'custom'], {
      description:
        'What clients speak: http is HTTP/1.0 and HTTP/1.1; tls is TLS that the backend terminates, told apart by the ClientHello; tcp is anything, even where the server speaks first, told apart by the listener alone; custom is read by a head reader of your own, given to createFrontend().',
      default: 'http',
      programOnly: ['custom'],
      notYet: {
        https: 'TLS is not terminated here; say tls, and let the backend terminate it',
      },
    }),
    backlog: count(
      'Connections that the kernel queues before they are accepted (listen(2)).',
      4096,
      1,
      65535,
    ),
    proxyProtocol: Type.Optional(
      group(
        {
          from: Type.Array(network('An IPv4 or IPv6 network, or one address.'), {
            minItems: 1,
            description:
              'The balancers in front. Whoever is in one of these networks is believed to speak for any client; connections from elsewhere are closed.',
          }),
        },
        'Each connection begins with a PROXY protocol header, version 1 or 2, which says who the client is. Left out: none does.',
      ),
    ),
  },
  'An address to accept connections on.',
)

const path = Type.Union(
  [
    group({ exact: Type.String({ description: 'This path alone.', format: 'route-path' }) }, 'One path.'),
    group(
      {
        prefix: Type.String({
          description:
            'This path and all below it by whole segments: /v is /v and /v/…, not /video; /v/ is /v/… only.',
          format: 'route-path',
        }),
      },
      'A path and all below it.',
    ),
  ],
  {
    description:
      'The path as it was sent, without the query: exactly one of exact and prefix. Left out: every path.',
  },
)

const route = group(
  {
    match: group(
      {
        host: Type.Optional(
          Type.String({
            description:
              'A name, or *.NAME for every name below it at any depth (not NAME itself). Left out: every host, and requests without one.',
            format: 'route-host',
          }),
        ),
        path: Type.Optional(path),
        sni: Type.Optional(
          Type.String({
            description:
              'The server name in the ClientHello: a name, *.NAME for every name below it, or * for every name and none. Left out: any.',
            format: 'route-sni',
          }),
        ),
        alpn: Type.Optional(
          Type.String({
            description:
              'A protocol that the client offers in ALPN, such as h2. Left out: whatever it offers.',
            format: 'route-alpn',
          }),
        ),
        listeners: Type.Optional(
          Type.Array(name('The name of a listener with protocol: tcp.'), {
            minItems: 1,
            description: 'The tcp listeners that the route is for; every connection to them matches.',
          }),
        ),
        key: Type.Optional(
          Type.String({
            description:
              'The key that the head reader of a custom listener found: a text, TEXT* for all that begin so, or * for every one. createFrontend() only.',
            format: 'route-key',
            programOnly: true,
          }),
        ),
      },
      'What a request or connection must look like. Routes with listeners are for these tcp listeners, routes with sni or alpn for tls listeners; there a connection goes to its backend whole and stays there. All others are for http listeners, {} for every request. None is for two kinds.',
    ),
    pool: name('The pool that serves it.'),
  },
  'Requests and connections, and who serves them.',
)

const backend = group(
  {
    id: name('Its name; the same as the id in its agent.yaml.'),
    agent: Type.Optional(endpoint('Control address of its agent. Left out: connections are relayed to it.')),
    address: Type.Optional(
      endpoint('Where its application takes relayed connections. Left out: nothing is relayed to it.'),
    ),
    weight: count('Share of the connections, relative to the others in the pool.', 1, 1, 1000),
  },
  'A host that serves the pool.',
)

const pool = group(
  {
    balance: oneOf(['roundRobin', 'leastConnections'], {
      description:
        'Who gets the next connection: in turn by weight, or the fewest connections for the weight.',
      default: 'roundRobin',
    }),
    handoff: oneOf(['auto', 'never'], {
      description: 'auto hands connections over where it can and relays the rest; never relays all.',
      default: 'auto',
    }),
    proxyProtocol: proxyProtocol(
      'What relayed connections to the backends begin with: a PROXY protocol header of that version, which says who the client is. For tls and tcp connections; requests have X-Forwarded-For.',
    ),
    backends: Type.Array(backend, {
      description: 'Known backends; agents that announce themselves in Redis join them.',
      default: [],
    }),
  },
  'Backends that serve the same content.',
)

const steering = group(
  {
    interface: Type.String({
      description: 'The network interface at which packets for the VIP arrive.',
      pattern: '^[^\\s/:]{1,15}$',
      expects: 'the name of a network interface, at most 15 bytes',
    }),
    attach: oneOf(['auto', 'tcx', 'clsact'], {
      description:
        'How the eBPF program hangs on it: auto takes TCX where the kernel has it (6.6), else clsact.',
      default: 'auto',
    }),
    pinPath: file('Folder on a bpffs in which program and flow table outlive this process.', {
      default: '/sys/fs/bpf/baton',
      pattern: '^/',
      expects: 'an absolute path',
    }),
    maxFlows: count('Connections that can be steered at once.', 1_048_576, 1024, 16_777_216),
    lingerMs: count(
      'How long packets of an ended connection are still steered (TIME_WAIT).',
      60_000,
      1000,
      600_000,
    ),
    idleMs: count(
      'How long a client may say nothing before its agent is asked whether the connection is still there. Nothing is cut by it: it finds flows whose end got lost.',
      600_000,
      1000,
      86_400_000,
    ),
  },
  'The flow table in the kernel. Needed unless every pool says handoff: never.',
)

/** frontend.yaml. */
export const frontendSchema = group(
  {
    id: name('Name of this frontend, unlike that of any other.', {
      default: hostname(),
      defaultText: 'the host name',
    }),
    listeners: Type.Array(listener, { minItems: 1, description: 'Addresses to accept connections on.' }),
    routes: Type.Array(route, {
      minItems: 1,
      description:
        'The first that matches decides; where none does, the answer is 404, or at a tls listener the alert unrecognized_name.',
    }),
    pools: Type.Record(Type.String({ pattern: '^.*$' }), pool, {
      default: {},
      description: 'Pools by name.',
      propertyNames: name('Name of the pool.'),
    }),
    limits: group(
      {
        headBytes: count(
          'Longest request head in bytes, its empty line included; a longer one gets 431. Also the longest ClientHello, which is 65536 at most.',
          16_384,
          256,
          262_144,
        ),
        headTimeoutMs: count('Time for the whole head to arrive; later gets 408.', 10_000, 100, 600_000),
        maxConnections: count(
          'Connections at the gate, with a head that is not whole yet; more get 503. 0: no limit.',
          65_536,
          0,
          10_000_000,
        ),
        maxConnectionsPerClient: count(
          'The same for one client address; more get 429. 0: no limit.',
          0,
          0,
          10_000_000,
        ),
      },
      'What one client, or all, may take.',
      true,
    ),
    timeouts: group(
      {
        connectTimeoutMs: count(
          'Time to connect to a backend when relaying; later gets 502 or the next backend.',
          3000,
          10,
          600_000,
        ),
        responseTimeoutMs: count(
          'Time for a backend to begin its answer when relaying; later gets 504. 0: no limit.',
          60_000,
          0,
          86_400_000,
        ),
        idleTimeoutMs: count(
          'Time without a byte either way, or between requests, after which a relayed connection is closed. 0: no limit.',
          60_000,
          0,
          86_400_000,
        ),
        drainTimeoutMs: count(
          'Time that a stop waits for relayed requests and handoffs in flight.',
          30_000,
          0,
          86_400_000,
        ),
      },
      'Relaying and stopping.',
      true,
    ),
    handoff: group(
      {
        budgetMs: count(
          'Time for an agent to answer an offer before it is asked what became of it.',
          1000,
          10,
          60_000,
        ),
        unknownTimeoutMs: count(
          'Time to find that out before the connection is given up and reset.',
          10_000,
          100,
          600_000,
        ),
      },
      'One handoff.',
      true,
    ),
    steering: Type.Optional(steering),
    registry,
    control: Type.Optional(control({})),
    admin: admin('127.0.0.1:9900'),
    log: group(
      {
        level: logLevel,
        accessLog: file('A file, - for standard output, or off.', { default: '-', format: 'access-log' }),
        accessLogFormat: oneOf(['json', 'common', 'combined'], {
          description:
            'One JSON object a line, or the Apache formats; combined has Referer and User-Agent of the first request.',
          default: 'json',
        }),
      },
      'What is written down.',
      true,
    ),
  },
  'Baton frontend configuration.',
)

export type FrontendFile = Static<typeof frontendSchema>
