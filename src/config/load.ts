import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { BatonError } from '../errors/index.js'
import {
  type Checked,
  type ConfigKind,
  checkAgentOptions,
  checkAgentText,
  checkFrontendOptions,
  checkFrontendText,
  detectKind,
  type ParseOptions,
} from './parse.js'
import { formatProblem, type Problem } from './problems.js'
import { MAX_FILE_BYTES, readSource } from './source.js'
import type { AgentConfig, FrontendConfig } from './types.js'

/** @throws BatonError BATON_CONFIG_UNREADABLE */
function readConfigFile(path: string): string {
  try {
    const fd = openSync(path, 'r')
    try {
      const { size } = fstatSync(fd)
      if (size > MAX_FILE_BYTES) throw new RangeError(`${size} bytes are more than ${MAX_FILE_BYTES}`)
      return readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new BatonError('BATON_CONFIG_UNREADABLE', { detail: `${path}: ${why}`, cause })
  }
}

function orThrow<Config>({ config, problems }: Checked<Config>): Config {
  if (config !== undefined) return config
  const errors = problems.filter(({ severity }) => severity === 'error').map(formatProblem)
  throw new BatonError('BATON_CONFIG_INVALID', { detail: `\n${errors.join('\n')}` })
}

/** @throws BatonError BATON_CONFIG_INVALID with every mistake */
export function parseFrontendConfig(text: string, options?: ParseOptions): FrontendConfig {
  return orThrow(checkFrontendText(text, options))
}

/** @throws BatonError BATON_CONFIG_INVALID with every mistake */
export function parseAgentConfig(text: string, options?: ParseOptions): AgentConfig {
  return orThrow(checkAgentText(text, options))
}

/**
 * Reads what a program gives instead of a frontend.yaml: the same keys, checked by the same schema.
 * @param name of who takes them, for the messages. @throws BatonError BATON_CONFIG_INVALID with every mistake
 */
export function readFrontendOptions(options: unknown, name: string): FrontendConfig {
  return orThrow(checkFrontendOptions(options, { file: name }))
}

/** The same for an agent.yaml. @throws BatonError BATON_CONFIG_INVALID with every mistake */
export function readAgentOptions(options: unknown, name: string): AgentConfig {
  return orThrow(checkAgentOptions(options, { file: name }))
}

/**
 * Reads a frontend.yaml and the secrets that it names.
 * @throws BatonError BATON_CONFIG_UNREADABLE, BATON_CONFIG_INVALID with every mistake
 */
export function loadFrontendConfig(path: string): FrontendConfig {
  return parseFrontendConfig(readConfigFile(path), fromFile(path))
}

/**
 * Reads an agent.yaml and the secrets that it names.
 * @throws BatonError BATON_CONFIG_UNREADABLE, BATON_CONFIG_INVALID with every mistake
 */
export function loadAgentConfig(path: string): AgentConfig {
  return parseAgentConfig(readConfigFile(path), fromFile(path))
}

function fromFile(path: string): ParseOptions {
  return { file: path, folder: dirname(resolve(path)), inProgram: false }
}

/** What `baton check FILE` says. `ok` is false when there is an error; warnings leave it true. */
export interface FileReport {
  readonly ok: boolean
  readonly kind: ConfigKind | undefined
  readonly problems: readonly Problem[]
}

/** Checks a file of either kind without using it. Never throws for what the file holds. */
export function checkFile(path: string): FileReport {
  const whole = (message: string): Problem => ({
    file: path,
    line: 1,
    column: 1,
    path: '',
    message,
    severity: 'error',
  })
  let text: string
  try {
    text = readConfigFile(path)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { ok: false, kind: undefined, problems: [whole(message)] }
  }
  const kind = detectKind(text)
  if (kind === undefined) {
    const { problems } = readSource(text, path)
    const neither =
      'is neither a frontend.yaml (listeners, routes, pools) nor an agent.yaml (id, vips, deliver)'
    return { ok: false, kind, problems: problems.length > 0 ? problems : [whole(neither)] }
  }
  const { problems } = (kind === 'frontend' ? checkFrontendText : checkAgentText)(text, fromFile(path))
  return { ok: problems.every(({ severity }) => severity === 'warning'), kind, problems }
}
