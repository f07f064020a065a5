import { isAlias, isCollection, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import type { KeyPath, Problem } from './problems.js'

/** Larger files are refused: nobody writes them by hand, and parsing takes memory many times the size. */
export const MAX_FILE_BYTES = 1 << 20
/** Deeper nesting than any configuration has; keeps a hostile file from exhausting the stack. */
const MAX_DEPTH = 64
/** Values that aliases may add up to, so that a few lines cannot stand for millions of values. */
const MAX_VALUES = 100_000

/** A parsed YAML file: plain values, and where each of them stands. */
export interface Source {
  readonly value: unknown
  locate(path: KeyPath, at: 'key' | 'value'): { line: number; column: number }
}

/** Mistakes of the syntax come back as problems; a source without a value then. */
export function readSource(text: string, file: string): { source: Source | undefined; problems: Problem[] } {
  const problem = (line: number, column: number, message: string): Problem => ({
    file,
    line,
    column,
    path: '',
    message,
    severity: 'error',
  })
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
    return { source: undefined, problems: [problem(1, 1, `is larger than ${MAX_FILE_BYTES} bytes`)] }
  }
  const tooDeep = deepLine(text)
  if (tooDeep !== undefined) {
    return { source: undefined, problems: [problem(tooDeep, 1, `is nested deeper than ${MAX_DEPTH} levels`)] }
  }
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    logLevel: 'error',
  })
  const problems = [...document.errors, ...document.warnings].map((error) => {
    const { line, col } = lines.linePos(error.pos[0])
    return problem(Math.max(1, line), Math.max(1, col), plainMessage(error.code, error.message))
  })
  if (problems.length > 0) return { source: undefined, problems }
  const resolve = (node: unknown): unknown => (isAlias(node) ? node.resolve(document) : node)
  const oversized = checkSize(document.contents, resolve)
  if (oversized !== undefined) {
    const { line, col } = lines.linePos(document.contents?.range[0] ?? 0)
    return { source: undefined, problems: [problem(Math.max(1, line), Math.max(1, col), oversized)] }
  }
  const position = (node: Node | null | undefined) => {
    const { line, col } = lines.linePos(node?.range?.[0] ?? 0)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const locate: Source['locate'] = (path, at) => {
    let place: Node | null | undefined = document.contents
    let node: unknown = document.contents
    for (const [index, step] of path.entries()) {
      node = resolve(node)
      if (isMap<Node, Node | null>(node)) {
        const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
        if (pair === undefined) break
        node = pair.value
        place =
          at === 'key' && index === path.length - 1 ? pair.key : emptyNode(pair.value) ? pair.key : pair.value
      } else if (isSeq<Node>(node) && typeof step === 'number') {
        node = node.items[step]
        place = node === undefined ? place : (node as Node)
      } else break
    }
    return position(place)
  }
  return { source: { value: document.toJS({ maxAliasCount: -1 }), locate }, problems: [] }
}

/** A key without a value: its node has no length to point at. */
function emptyNode(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null)
}

function plainMessage(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'the key stands here a second time'
  if (code === 'MULTIPLE_DOCS') return 'holds more than one document; expected one'
  return message
}

/** The line at which brackets or indentation reach a depth that the parser should not be given. */
function deepLine(text: string): number | undefined {
  let flow = 0
  let line = 0
  for (const row of text.split('\n')) {
    line++
    // Compact nesting, as in "- - - -" and "? ? ?", needs no indentation.
    const compact = /^\s*((?:[-?:]\s+)*)/.exec(row)?.[1]?.length ?? 0
    const indent = row.length - row.trimStart().length
    if (indent > MAX_DEPTH * 8 || compact > MAX_DEPTH * 2) return line
    // Brackets in texts and comments count too: harmless, at this many.
    for (const char of row) {
      if (char === '[' || char === '{') flow++
      else if ((char === ']' || char === '}') && flow > 0) flow--
      if (flow > MAX_DEPTH) return line
    }
  }
  return undefined
}

/** Why the document is not turned into values: aliases that contain themselves or multiply. */
function checkSize(contents: unknown, resolve: (node: unknown) => unknown): string | undefined {
  let values = 0
  const visit = (given: unknown, depth: number): string | undefined => {
    if (++values > MAX_VALUES) return `stands for more than ${MAX_VALUES} values; are aliases multiplying?`
    if (depth > MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels, or an alias contains itself`
    const node = resolve(given)
    if (!isCollection(node)) return undefined
    for (const item of node.items) {
      const value =
        typeof item === 'object' && item !== null && 'value' in item && 'key' in item ? item.value : item
      const mistake = visit(value, depth + 1)
      if (mistake !== undefined) return mistake
    }
    return undefined
  }
  return visit(contents, 0)
}
