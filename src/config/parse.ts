import { checkAgent } from './agent-rules.js'
import { type AgentFile, agentSchema } from './agent-schema.js'
import { checkFrontend } from './frontend-rules.js'
import { type FrontendFile, frontendSchema } from './frontend-schema.js'
import { formatPath, type KeyPath, type Problem, type Reporter } from './problems.js'
import { checkControlFiles, readRedisTarget } from './secrets.js'
import { readShape, type SchemaNode } from './shape.js'
import { readSource, type Source } from './source.js'
import type { AgentConfig, FrontendConfig, PoolConfig, RegistryConfig } from './types.js'

export type ConfigKind = 'frontend' | 'agent'

/** A file as far as it could be read: `config` is there when no problem is an error. */
export interface Checked<Config> {
  readonly config: Config | undefined
  /** In the order of the file. */
  readonly problems: readonly Problem[]
}

export interface ParseOptions {
  /** Stands in messages. Default "config". */
  readonly file?: string
  /** Where relative paths begin. Default: the working directory. */
  readonly folder?: string
  /** Looks at the files that the configuration names (token, certificates). Default true. */
  readonly checkFiles?: boolean
  /** Takes deliver.kind inline and listeners with protocol custom, which only a Node program can mean. Default true. */
  readonly inProgram?: boolean
  /** For ${NAME} in registry.url. Default process.env. */
  readonly environment?: NodeJS.ProcessEnv
}

/** Which kind of file a text is, by keys that only one kind has; undefined where neither fits. */
export function detectKind(text: string): ConfigKind | undefined {
  const value = readSource(text, '').source?.value
  const has = (key: string) => typeof value === 'object' && value !== null && Object.hasOwn(value, key)
  const frontend = ['listeners', 'routes', 'steering', 'handoff'].filter(has).length
  const agent = ['vips', 'deliver', 'capacity', 'hostSetup', 'weight', 'interface'].filter(has).length
  if (frontend === agent) return undefined
  return frontend > agent ? 'frontend' : 'agent'
}

/** Reads and checks the text of a frontend.yaml; mistakes are returned, all at once. */
export function checkFrontendText(text: string, options: ParseOptions = {}): Checked<FrontendConfig> {
  return checkFrontendSource(readSource(text, nameOf(options)), options)
}

/** The same for the options of a program, which stand in no file. */
export function checkFrontendOptions(value: unknown, options: ParseOptions = {}): Checked<FrontendConfig> {
  return checkFrontendSource(withoutText(value), options)
}

function checkFrontendSource(read: Read, options: ParseOptions): Checked<FrontendConfig> {
  const rules = (file: FrontendFile, report: Reporter) =>
    checkFrontend(file, options.inProgram ?? true, report)
  return check<FrontendFile, FrontendConfig>(read, frontendSchema, rules, options, (file, registry) => {
    const pools = new Map<string, PoolConfig>(Object.entries(file.pools))
    for (const { pool } of file.routes) {
      if (!pools.has(pool))
        pools.set(pool, { balance: 'roundRobin', handoff: 'auto', proxyProtocol: 'off', backends: [] })
    }
    return { ...file, pools, registry }
  })
}

/** Reads and checks the text of an agent.yaml; mistakes are returned, all at once. */
export function checkAgentText(text: string, options: ParseOptions = {}): Checked<AgentConfig> {
  return checkAgentSource(readSource(text, nameOf(options)), options)
}

/** The same for the options of a program, which stand in no file. */
export function checkAgentOptions(value: unknown, options: ParseOptions = {}): Checked<AgentConfig> {
  return checkAgentSource(withoutText(value), options)
}

function checkAgentSource(read: Read, options: ParseOptions): Checked<AgentConfig> {
  const rules = (file: AgentFile, report: Reporter) => checkAgent(file, options.inProgram ?? true, report)
  return check<AgentFile, AgentConfig>(read, agentSchema, rules, options, (file, registry) => ({
    ...file,
    registry,
  }))
}

interface CommonFile {
  readonly registry: FrontendFile['registry']
  readonly control?: FrontendFile['control']
}

type Read = ReturnType<typeof readSource>

const nameOf = ({ file = 'config' }: ParseOptions): string => file

function withoutText(value: unknown): Read {
  return { source: { value, locate: () => ({ line: 0, column: 0 }) }, problems: [] }
}

function check<File extends CommonFile, Config>(
  { source, problems }: Read,
  schema: SchemaNode,
  rules: (file: File, report: Reporter) => void,
  options: ParseOptions,
  finish: (file: File, registry: RegistryConfig) => Config,
): Checked<Config> {
  if (source === undefined) return { config: undefined, problems }
  const report = reporter(source, nameOf(options), problems)
  // The schema's static type is what readShape returns when no value has a wrong type.
  const file = readShape(schema, source.value, options.folder ?? process.cwd(), report) as File | undefined
  let registry: RegistryConfig | undefined
  if (file !== undefined) {
    rules(file, report)
    if (options.checkFiles !== false && file.control !== undefined) checkControlFiles(file.control, report)
    registry = readRegistry(file.registry, options.environment ?? process.env, report)
  }
  problems.sort((a, b) => a.line - b.line || a.column - b.column)
  if (file === undefined || registry === undefined) return { config: undefined, problems }
  const failed = problems.some(({ severity }) => severity === 'error')
  return { config: failed ? undefined : finish(file, registry), problems }
}

function readRegistry(
  registry: FrontendFile['registry'],
  environment: NodeJS.ProcessEnv,
  report: Reporter,
): RegistryConfig | undefined {
  if (registry.kind === 'memory') return registry
  const target = readRedisTarget(registry, environment, report)
  return target && { kind: 'redis', target, keyPrefix: registry.keyPrefix }
}

function reporter(source: Source, file: string, problems: Problem[]): Reporter {
  const add =
    (severity: Problem['severity']) =>
    (path: KeyPath, message: string, at: 'key' | 'value' = 'value') => {
      problems.push({ file, ...source.locate(path, at), path: formatPath(path), message, severity })
    }
  return { error: add('error'), warning: add('warning') }
}
