import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { packageRoot } from '../../src/kernel/native.js'

/** One import or re-export of a file of our own. */
export interface Import {
  /** The importing file, from the package's root: `src/gate/gate.ts`. */
  readonly from: string
  /** The imported file, as a source: `src/kernel/flow.ts`. */
  readonly to: string
  readonly typeOnly: boolean
}

export interface Source {
  readonly path: string
  readonly text: string
  readonly lines: number
}

/** Every TypeScript file below the folders. */
export function sources(...folders: readonly string[]): Source[] {
  return folders.flatMap((folder) =>
    readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .sort()
      .map((name) => {
        const path = join(folder, name)
        const text = readFileSync(join(packageRoot, path), 'utf8')
        return { path, text, lines: text.split('\n').length - 1 }
      }),
  )
}

const statement = /^\s*(?:import|export)\s+(type\s+)?(?:[\w*{][^;'"]*?\sfrom\s+)?'(\.[^']+)'/gm
const dynamic = /\bimport\('(\.[^']+)'\)/g

/** What a file imports of our own. A name marked `type` among others still loads the file at run time. */
export function importsOf(source: Source): Import[] {
  const resolve = (target: string) => normalize(join(dirname(source.path), target)).replace(/\.js$/, '.ts')
  const found: Import[] = []
  for (const [, type, target = ''] of source.text.matchAll(statement)) {
    found.push({ from: source.path, to: resolve(target), typeOnly: type !== undefined })
  }
  for (const [, target = ''] of source.text.matchAll(dynamic)) {
    found.push({ from: source.path, to: resolve(target), typeOnly: false })
  }
  return found
}

/** The folder below src that a file belongs to; empty for src/index.ts. */
export function room(path: string): string {
  const parts = path.split('/')
  return parts.length > 2 ? (parts[1] ?? '') : ''
}
