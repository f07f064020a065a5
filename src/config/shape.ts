import { formats, secretFormats } from './formats.js'
import type { KeyPath, Reporter } from './problems.js'
import { suggest } from './suggest.js'

/** The words of JSON Schema that Baton's schemas are written in, with a few of our own (parts-schema.ts). */
interface SchemaWords {
  readonly type: string
  readonly description: string
  readonly default: unknown
  /** Stands for a default that differs from machine to machine. */
  readonly defaultText: string
  readonly properties: Readonly<Record<string, SchemaNode>>
  readonly required: readonly string[]
  readonly patternProperties: Readonly<Record<string, SchemaNode>>
  readonly propertyNames: SchemaNode
  readonly items: SchemaNode
  readonly minItems: number
  readonly anyOf: readonly SchemaNode[]
  readonly const: string
  readonly enum: readonly string[]
  readonly minimum: number
  readonly maximum: number
  readonly minLength: number
  readonly pattern: string
  /** The pattern in words. */
  readonly expects: string
  readonly format: string
  /** Values that an operator may well try, and why they are refused. */
  readonly notYet: Readonly<Record<string, string>>
  /** What only a Node program can mean, and no file: this key or form, or these values of it. */
  readonly programOnly: true | readonly string[]
}

export type SchemaNode = { readonly [Word in keyof SchemaWords]?: SchemaWords[Word] | undefined }

interface Context {
  readonly report: Reporter
  /** Where relative paths begin. */
  readonly folder: string
  /** True once a value has not the type that the program relies on. */
  broken: boolean
}

/**
 * Reads a value by its schema: fills in the defaults, turns texts into what they stand for, and reports every mistake.
 * @returns undefined where the value has not the right types; else what the schema's static type says
 */
export function readShape(schema: SchemaNode, value: unknown, folder: string, report: Reporter): unknown {
  const context: Context = { report, folder, broken: false }
  const read = readNode(schema, value, [], context)
  return context.broken ? undefined : read
}

function readNode(schema: SchemaNode, given: unknown, path: KeyPath, context: Context): unknown {
  const value = given === undefined ? schema.default : given
  if (schema.anyOf !== undefined) return readUnion(schema, schema.anyOf, value, path, context)
  if (schema.const !== undefined) return readLiteral(schema.const, value, path, context)
  if (schema.type === 'object') return readObject(schema, value, path, context)
  if (schema.type === 'array') return readArray(schema, value, path, context)
  if (schema.type === 'integer') return readInteger(schema, value, path, context)
  return readString(schema, value, path, context)
}

/** Reports a value of the wrong type. */
function wrong(value: unknown, expected: string, path: KeyPath, context: Context): undefined {
  context.broken = true
  context.report.error(path, `is ${describe(value)}, expected ${expected}`)
}

function describe(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a map'
  if (typeof value === 'function') return 'a function'
  return typeof value === 'string' ? `the text ${JSON.stringify(value)}` : String(value)
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readObject(schema: SchemaNode, value: unknown, path: KeyPath, context: Context): unknown {
  if (!isMap(value)) return wrong(value, 'a map of keys', path, context)
  const values = Object.values(schema.patternProperties ?? {})[0]
  if (values !== undefined) return readRecord(schema, values, value, path, context)
  const properties = schema.properties ?? {}
  const read: Record<string, unknown> = {}
  for (const [key, property] of Object.entries(properties)) {
    const given = Object.hasOwn(value, key) ? value[key] : undefined
    if (given !== undefined || property.default !== undefined) {
      read[key] = readNode(property, given, [...path, key], context)
    } else if (schema.required?.includes(key)) {
      context.broken = true
      context.report.error(path, `lacks "${key}": ${firstSentence(property.description ?? key)}`)
    }
  }
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(properties, key)) reportUnknown(key, Object.keys(properties), path, context)
  }
  return read
}

function firstSentence(text: string): string {
  return /^(.*?)\.(?:\s|$)/.exec(text)?.[1] ?? text
}

function reportUnknown(key: string, known: readonly string[], path: KeyPath, context: Context): void {
  const meant = suggest(key, known)
  const hint = meant === undefined ? `expected one of ${known.join(', ')}` : `did you mean "${meant}"?`
  context.report.error([...path, key], `unknown key; ${hint}`, 'key')
}

function readRecord(
  schema: SchemaNode,
  values: SchemaNode,
  value: Readonly<Record<string, unknown>>,
  path: KeyPath,
  context: Context,
): unknown {
  const read: Record<string, unknown> = Object.create(null)
  for (const [key, given] of Object.entries(value)) {
    const names = schema.propertyNames
    if (names?.pattern !== undefined && !new RegExp(names.pattern).test(key)) {
      context.report.error([...path, key], `is no name; expected ${names.expects}`, 'key')
    }
    read[key] = readNode(values, given, [...path, key], context)
  }
  return read
}

function readArray(schema: SchemaNode, value: unknown, path: KeyPath, context: Context): unknown {
  if (!Array.isArray(value) || schema.items === undefined) return wrong(value, 'a list', path, context)
  const items = schema.items
  if (value.length < (schema.minItems ?? 0))
    context.report.error(path, `has none, expected at least ${schema.minItems}`)
  return value.map((item: unknown, index) => readNode(items, item, [...path, index], context))
}

function readInteger(schema: SchemaNode, value: unknown, path: KeyPath, context: Context): unknown {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema
  const expected = `a whole number between ${minimum} and ${maximum}`
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) return wrong(value, expected, path, context)
  if (value < minimum || value > maximum) context.report.error(path, `is ${value}, expected ${expected}`)
  return value
}

function readLiteral(wanted: string, value: unknown, path: KeyPath, context: Context): unknown {
  return value === wanted ? value : wrong(value, `"${wanted}"`, path, context)
}

function readString(schema: SchemaNode, value: unknown, path: KeyPath, context: Context): unknown {
  if (typeof value !== 'string') return wrong(value, schema.expects ?? 'a text', path, context)
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    return refuseWord(value, schema.enum, schema.notYet, path, context)
  }
  if (value.length < (schema.minLength ?? 0)) context.report.error(path, 'is empty')
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value)) {
    context.report.error(path, `is ${describe(value)}, expected ${schema.expects ?? schema.pattern}`)
  }
  const format = schema.format === undefined ? undefined : formats[schema.format]
  const result = format?.(value, context.folder) ?? { value }
  if ('value' in result) return result.value
  context.broken = true
  const quoted = secretFormats.has(schema.format ?? '') ? '' : `${JSON.stringify(value)}: `
  context.report.error(path, `${quoted}${result.mistake}`)
  return undefined
}

function refuseWord(
  value: string,
  words: readonly string[],
  notYet: SchemaNode['notYet'],
  path: KeyPath,
  context: Context,
): undefined {
  const known = notYet !== undefined && Object.hasOwn(notYet, value) ? notYet[value] : undefined
  if (known !== undefined) {
    context.broken = true
    context.report.error(path, known)
    return
  }
  const meant = suggest(value, words)
  wrong(value, `${words.join(' or ')}${meant === undefined ? '' : `; did you mean ${meant}?`}`, path, context)
}

/** Takes the branch that the value means, by `kind` and then by the keys that only that branch requires. */
function readUnion(
  schema: SchemaNode,
  branches: readonly SchemaNode[],
  value: unknown,
  path: KeyPath,
  context: Context,
): unknown {
  if (!isMap(value)) return wrong(value, 'a map of keys', path, context)
  const kinds = [...new Set(branches.flatMap((branch) => branch.properties?.kind?.const ?? []))]
  let left = branches
  if (kinds.length > 0) {
    const kind = value.kind
    if (kind === undefined) {
      context.broken = true
      context.report.error(path, `lacks "kind": ${kinds.join(' or ')}`)
      return undefined
    }
    if (typeof kind !== 'string') return wrong(kind, kinds.join(' or '), [...path, 'kind'], context)
    left = branches.filter((branch) => branch.properties?.kind?.const === kind)
    if (left.length === 0) return refuseWord(kind, kinds, schema.notYet, [...path, 'kind'], context)
  }
  const own = left.map((branch) => (branch.required ?? []).filter((key) => isOwnKey(key, branch, left)))
  const matching = left.filter(
    (_, index) => left.length === 1 || own[index]?.some((key) => value[key] !== undefined),
  )
  const [branch] = matching
  if (branch !== undefined && matching.length === 1) return readNode(branch, value, path, context)
  context.broken = true
  context.report.error(
    path,
    `takes exactly one of ${own.flat().join(', ')}; has ${branch === undefined ? 'none' : 'more'}`,
  )
  const all = [...new Set(left.flatMap((one) => Object.keys(one.properties ?? {})))]
  for (const key of Object.keys(value)) if (!all.includes(key)) reportUnknown(key, all, path, context)
  return undefined
}

function isOwnKey(key: string, branch: SchemaNode, branches: readonly SchemaNode[]): boolean {
  return branches.every((other) => other === branch || !Object.hasOwn(other.properties ?? {}, key))
}
