import type { ListenerConfig } from '../config/index.js'
import { customReader, type Gate, readClientHello, readNothing } from '../gate/index.js'
import { type Endpoint, endpointText } from '../kernel/flow.js'
import type { Logger } from '../telemetry/index.js'
import type { WholeHead } from './head.js'
import type { CustomProtocol } from './protocol.js'
import { Refusals, type Speech } from './refusal.js'

const http: Speech = { kind: 'http' }

/** The configured listeners: which head reader stands behind each, and where they listen once they do. */
export class Listeners {
  readonly refusals: Refusals
  readonly #logger: Logger
  readonly #configs: readonly ListenerConfig[]
  readonly #speeches = new Map<string, Speech>()
  readonly #bound = new Map<string, Endpoint>()

  /** @param protocols by the names of the custom listeners. @throws RangeError when one of these has none */
  constructor(
    configs: readonly ListenerConfig[],
    protocols: ReadonlyMap<string, CustomProtocol>,
    logger: Logger,
  ) {
    this.#configs = configs
    this.#logger = logger
    for (const { name, protocol } of configs) this.#speeches.set(name, speechOf(name, protocol, protocols))
    this.refusals = new Refusals((listener) => this.#speech(listener), logger)
  }

  #speech(listener: string): Speech {
    return this.#speeches.get(listener) ?? http
  }

  /** Where each listens, by name; empty before {@link open}. */
  get bound(): ReadonlyMap<string, Endpoint> {
    return this.#bound
  }

  /** @throws BatonError of the gate */
  open(gate: Gate<WholeHead>): void {
    for (const { name, address, backlog, protocol, proxyProtocol } of this.#configs) {
      const header = proxyProtocol && { proxyFrom: proxyProtocol.from }
      const at = gate.listen({
        name,
        ...address,
        backlog,
        ...this.#reader(name, header !== undefined),
        ...header,
      })
      this.#bound.set(name, at)
      this.#logger.info({ listener: name, address: endpointText(at), protocol }, 'listening')
    }
  }

  /** How the gate looks at its connections: where the server may speak first, nothing is waited for. */
  #reader(name: string, afterHeader: boolean) {
    const speech = this.#speech(name)
    switch (speech.kind) {
      case 'http':
        return {}
      case 'tls':
        return { readHead: readClientHello }
      case 'tcp':
        return { readHead: readNothing, ...(afterHeader ? {} : { deferAcceptSeconds: 0 }) }
      case 'custom': {
        const onMistake = (detail: string, cause: unknown) =>
          this.#logger.error({ listener: name, detail, err: cause }, 'the head reader of a listener is wrong')
        return { readHead: customReader(speech.protocol.readHead, onMistake) }
      }
      default:
        return speech satisfies never
    }
  }
}

function speechOf(
  name: string,
  protocol: ListenerConfig['protocol'],
  protocols: ReadonlyMap<string, CustomProtocol>,
): Speech {
  if (protocol !== 'custom') return { kind: protocol }
  const custom = protocols.get(name)
  if (custom === undefined) throw new RangeError(`the listener ${name} has no head reader`)
  return { kind: 'custom', protocol: custom }
}
