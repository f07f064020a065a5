import type { Import } from './sources.js'
import { room } from './sources.js'

/** One row of the table in ARCHITECTURE.md. */
export interface Room {
  readonly name: string
  readonly mayImport: readonly Permission[]
}

export interface Permission {
  readonly room: string
  /** Only this file of the room, without its ending; undefined means its door. */
  readonly file: string | undefined
  /** Only `import type`. */
  readonly typesOnly: boolean
}

/** Rooms without an index.ts: each of their files is a door of its own. */
const openRooms = new Set(['kernel'])

/**
 * Reads the rows `| src/NAME | room for | may import |`. In the last column stand folders, `folder/file` for one file,
 * `folder (types)`, `–` for none, or `all`.
 */
export function readTable(markdown: string): Room[] {
  const rows = [...markdown.matchAll(/^\| `src\/([a-z-]+)` *\|[^|]*\| ([^|]+)\|$/gm)]
  const names = rows.map(([, name = '']) => name)
  return rows.map(([, name = '', cell = '']) => {
    const entries = cell.trim() === 'all' ? names.filter((other) => other !== name) : cell.split(',')
    return { name, mayImport: entries.flatMap((entry) => permission(entry.trim())) }
  })
}

function permission(entry: string): Permission[] {
  if (entry === '–') return []
  const match = /^([a-z-]+)(?:\/([a-z-]+))?( \(types\))?$/.exec(entry)
  if (match === null)
    throw new SyntaxError(`ARCHITECTURE.md: "${entry}" is not a folder that may be imported`)
  return [{ room: match[1] ?? '', file: match[2], typesOnly: match[3] !== undefined }]
}

/** What is wrong with an import by the table, or undefined. */
export function breach(rooms: readonly Room[], one: Import): string | undefined {
  const [own, other] = [room(one.from), room(one.to)]
  if (own === other || own === '') return undefined // src/index.ts composes the public interface
  const what = `${one.from} imports ${one.to}`
  if (other === '') return own === 'cli' ? undefined : `${what}: the public interface is for programs`
  const allowed =
    rooms.find(({ name }) => name === own)?.mayImport.filter((entry) => entry.room === other) ?? []
  if (allowed.length === 0) return `${what}: ${own} may not import ${other}`
  if (!one.typeOnly && allowed.every((entry) => entry.typesOnly)) {
    return `${what}: ${own} may import only types of ${other}`
  }
  const file = one.to.split('/').slice(2).join('/').replace(/\.ts$/, '')
  const files = allowed.flatMap((entry) => (entry.file === undefined ? [] : [entry.file]))
  if (files.length > 0 && files.length === allowed.length) {
    return files.includes(file)
      ? undefined
      : `${what}: ${own} may import only ${files.join(', ')} of ${other}`
  }
  if (openRooms.has(other) || file === 'index') return undefined
  return `${what}: others come in by ../${other}/index.js`
}

/** Every circle of files that need each other at run time or by type, each named once. */
export function circles(imports: readonly Import[]): string[][] {
  const next = new Map<string, string[]>()
  for (const { from, to } of imports) next.set(from, [...(next.get(from) ?? []), to])
  const found: string[][] = []
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file])
    if (start >= 0 || done.has(file)) return
    path.push(file)
    for (const target of next.get(file) ?? []) visit(target)
    path.pop()
    done.add(file)
  }
  for (const file of next.keys()) visit(file)
  return found
}
