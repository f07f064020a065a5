import { agentSchema } from './agent-schema.js'
import { frontendSchema } from './frontend-schema.js'
import type { SchemaNode } from './shape.js'

/** Our own formats in the words of JSON Schema, as far as it has some. */
const FORMATS: Readonly<Record<string, object>> = {
  'ip-endpoint': { pattern: '^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}$' },
  'ip-endpoint-any-port': { pattern: '^(\\[[0-9A-Fa-f:.]+\\]|[0-9.]+):[0-9]{1,5}$' },
  'ip-address': { anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] },
  'ip-network': { pattern: '^[0-9a-fA-F.:]+(/[0-9]{1,3})?$' },
  'route-path': { pattern: '^/' },
  'route-alpn': { pattern: '^[!-~]{1,255}$' },
}

/** The schema of a file for editors: standard words only, and keys with a default are not required. */
export function publishedSchema(kind: 'frontend' | 'agent'): object {
  const title = kind === 'frontend' ? 'Baton frontend.yaml' : 'Baton agent.yaml'
  const schema = kind === 'frontend' ? frontendSchema : agentSchema
  return { $schema: 'http://json-schema.org/draft-07/schema#', title, ...published(schema) }
}

/** What a file may say too. */
const inFiles = (node: SchemaNode): boolean => node.programOnly !== true

function published(node: SchemaNode): object {
  const { expects: _expects, notYet: _notYet, programOnly, format, defaultText, required, ...words } = node
  const { properties, patternProperties, items, anyOf, propertyNames, default: fallback, ...plain } = words
  const values = plain.enum?.filter((word) => !Array.isArray(programOnly) || !programOnly.includes(word))
  const rest = values === undefined ? plain : { ...plain, enum: values }
  const needed = required?.filter((key) => properties?.[key]?.default === undefined)
  return {
    ...rest,
    ...(format === undefined ? {} : FORMATS[format]),
    ...(fallback === undefined || defaultText !== undefined ? {} : { default: fallback }),
    ...(needed === undefined || needed.length === 0 ? {} : { required: needed }),
    ...(properties === undefined ? {} : { properties: mapValues(properties, published, inFiles) }),
    ...(patternProperties === undefined
      ? {}
      : { patternProperties: mapValues(patternProperties, published) }),
    ...(propertyNames === undefined ? {} : { propertyNames: published(propertyNames) }),
    ...(items === undefined ? {} : { items: published(items) }),
    ...(anyOf === undefined ? {} : { anyOf: anyOf.filter(inFiles).map(published) }),
  }
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  change: (value: From) => To,
  wanted: (value: From) => boolean = () => true,
): Record<string, To> {
  const entries = Object.entries(record).filter(([, value]) => wanted(value))
  return Object.fromEntries(entries.map(([key, value]) => [key, change(value)]))
}

/** The keys of a file as Markdown tables, one for each group, in the order of the schema. */
export function keyTables(kind: 'frontend' | 'agent'): string {
  const schema: SchemaNode = kind === 'frontend' ? frontendSchema : agentSchema
  const tables: string[] = []
  describeGroup('', schema, tables)
  return tables.join('\n')
}

interface Row {
  readonly key: string
  readonly node: SchemaNode
  /** `some`: in some of the forms that the group may take. */
  readonly need: 'always' | 'some' | 'never'
}

function describeGroup(path: string, schema: SchemaNode, tables: string[]): void {
  const branches = schema.anyOf ?? [schema]
  const rows = branches.flatMap(rowsOf)
  const seen = new Map(rows.map((row) => [row.key, oneRow(row.key, rows, branches.length)]))
  const heading = path === '' ? '' : `### \`${path}\`\n\n${schema.description ?? ''}\n\n`
  const lines = [...seen.values()].map(({ key, node, need }) => {
    const fallback = need === 'never' ? defaultText(node) : need === 'always' ? '**required**' : '**by kind**'
    return `| \`${key}\` | ${valueText(node)} | ${fallback} | ${cell(node.description ?? '')} |`
  })
  tables.push(
    `${heading}| key | value | default | meaning |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`,
  )
  for (const { key, node } of seen.values()) {
    const inner = innerGroup(node)
    const suffix = node.type === 'array' ? '[]' : node.patternProperties === undefined ? '' : '.NAME'
    if (inner !== undefined) describeGroup(`${path === '' ? '' : `${path}.`}${key}${suffix}`, inner, tables)
  }
}

function rowsOf(schema: SchemaNode): Row[] {
  return Object.entries(schema.properties ?? {}).map(([key, node]) => ({
    key,
    node,
    need: schema.required?.includes(key) === true && node.default === undefined ? 'always' : 'never',
  }))
}

/** One row for a key that stands in several forms of a group; their literals are put together. */
function oneRow(key: string, rows: readonly Row[], forms: number): Row {
  const same = rows.filter((row) => row.key === key)
  const [first = { key, node: {}, need: 'never' }] = same
  const literals = new Map(
    same.flatMap(({ node }) => (node.const === undefined ? [] : [[node.const, node] as const])),
  )
  const description = [...literals].map(([word, node]) => `\`${word}\`: ${node.description}`).join(' ')
  const node = literals.size < 2 ? first.node : { type: 'string', enum: [...literals.keys()], description }
  return { key, node, need: first.need === 'always' && same.length < forms ? 'some' : first.need }
}

/** The group that a key holds, by itself, in a list or by name. */
function innerGroup(node: SchemaNode): SchemaNode | undefined {
  const inner = node.items ?? Object.values(node.patternProperties ?? {})[0] ?? node
  return inner.properties === undefined && inner.anyOf === undefined ? undefined : inner
}

const FORMAT_TEXTS: Readonly<Record<string, string>> = {
  'ip-endpoint': 'ADDRESS:PORT',
  'ip-endpoint-any-port': 'ADDRESS:PORT',
  'ip-address': 'address',
  'ip-network': 'network',
  file: 'path',
  'access-log': 'path, `-` or `off`',
  'redis-url': 'URL',
  'route-host': 'host pattern',
  'route-path': 'path',
  'route-sni': 'host pattern or `*`',
  'route-alpn': 'protocol',
  'route-key': 'key, `TEXT*` or `*`',
}

function valueText(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((word) => `\`${word}\``).join(', ')
  if (node.const !== undefined) return `\`${node.const}\``
  if (node.type === 'integer') return `${node.minimum}–${node.maximum}`
  if (node.type === 'array')
    return innerGroup(node) === undefined ? `list of ${valueText(node.items ?? {})}s` : 'list'
  if (innerGroup(node) !== undefined) return 'map'
  return FORMAT_TEXTS[node.format ?? ''] ?? (node.expects?.startsWith('1 to 64') ? 'name' : 'text')
}

function defaultText(node: SchemaNode): string {
  if (node.defaultText !== undefined) return node.defaultText
  if (node.default === undefined) return '–'
  if (node.properties !== undefined) return 'its defaults'
  return typeof node.default === 'object'
    ? `\`${JSON.stringify(node.default)}\``
    : `\`${String(node.default)}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
