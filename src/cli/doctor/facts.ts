import type { Endpoint } from '../../kernel/flow.js'

/** What the doctor looks at of a frontend's and an agent's configuration; FrontendConfig and AgentConfig fit. */
export type ControlFacts =
  | { readonly tokenFile: string }
  | { readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string } }

export type RegistryFacts =
  | { readonly kind: 'memory' }
  | {
      readonly kind: 'redis'
      readonly target: {
        readonly nodes: readonly { readonly host: string; readonly port: number }[]
        readonly tls: boolean
      }
    }

export interface FrontendFacts {
  readonly listeners: readonly { readonly name: string; readonly address: Endpoint }[]
  readonly pools: ReadonlyMap<
    string,
    {
      readonly handoff: 'auto' | 'never'
      readonly backends: readonly { readonly id: string; readonly agent?: Endpoint | undefined }[]
    }
  >
  readonly steering?: { readonly interface: string } | undefined
  readonly control?: ControlFacts | undefined
  readonly registry: RegistryFacts
}

export interface AgentFacts {
  readonly control: ControlFacts & { readonly address: Endpoint }
  readonly vips: readonly string[]
  readonly interface?: string | undefined
  readonly hostSetup: 'apply' | 'check' | 'off'
  readonly deliver:
    | { readonly kind: 'http' | 'tcp'; readonly address: Endpoint }
    | {
        readonly kind: 'adopt'
        readonly address: Endpoint
        readonly fallback?: { readonly kind: 'http' | 'tcp'; readonly address: Endpoint } | undefined
      }
    | { readonly kind: 'inline' }
  readonly registry: RegistryFacts
}
