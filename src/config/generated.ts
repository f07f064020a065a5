import { keyTables, publishedSchema } from './published.js'

const PAGE = 'docs/configuration.md'

/**
 * The files that are made from the schemas, by path, with their text.
 * @param read gives the present text of a file: the page keeps what is written by hand around its tables
 */
export function generatedFiles(read: (path: string) => string): Record<string, string> {
  let page = read(PAGE)
  for (const kind of ['frontend', 'agent'] as const) {
    const [begin, end] = [`<!-- keys of ${kind}.yaml -->`, `<!-- end of ${kind}.yaml -->`]
    const [from, to] = [page.indexOf(begin), page.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`${PAGE} lacks ${begin} … ${end}`)
    page = `${page.slice(0, from + begin.length)}\n\n${keyTables(kind)}\n${page.slice(to)}`
  }
  const schema = (kind: 'frontend' | 'agent') => `${JSON.stringify(publishedSchema(kind), undefined, 2)}\n`
  return {
    [PAGE]: page,
    'deploy/schema/frontend.json': schema('frontend'),
    'deploy/schema/agent.json': schema('agent'),
  }
}
