import { type ErrorDefinition, errorRegistry } from './index.js'

const SIDES: Readonly<Record<ErrorDefinition['side'], string>> = {
  client: 'the client',
  frontend: 'the frontend',
  agent: 'the agent',
  backend: 'the application',
  operator: 'the operator',
}

/** docs/errors.md as text: every code of the registry, in its order. */
export function errorsPage(): string {
  const rows: [string, ErrorDefinition][] = Object.entries(errorRegistry)
  const sections = rows.map(([code, row]) => {
    const status = row.httpStatus === undefined ? '' : ` · the client gets ${row.httpStatus}`
    const retry = row.retryable ? 'may be tried again' : 'not to be tried again'
    return `### ${code}\n\n${row.summary} ${row.action}\n\nSide: ${SIDES[row.side]} · ${retry}${status}\n`
  })
  return `# Errors

Every failure that Baton reports has a code. In the program it is a \`BatonError\` with \`code\`, \`side\` (whose doing it is),
\`retryable\` (whether the same step may be tried again or elsewhere without harm to the connection) and, where a system
call failed, \`step\` and \`errno\`. In the log the code stands in \`err.code\`, in the metrics in the label \`code\`.

This page is made from src/errors by \`npm run docs\`; a test keeps it in step.

${sections.join('\n')}`
}
