interface Command {
  readonly summary: string
  readonly usage: string
  readonly options: readonly (readonly [flag: string, meaning: string])[]
  readonly examples: readonly string[]
  /** Loaded at use: `baton check` must not need the addon. */
  readonly load: () => Promise<{ run(argv: readonly string[]): Promise<number> }>
}

/** Everything that `baton` can do, in the order of --help. */
export const commands: Readonly<Record<string, Command>> = {
  frontend: {
    summary: 'accept connections, read their heads, and hand them to the backends',
    usage: 'baton frontend -c FILE',
    options: [['-c, --config FILE', 'frontend.yaml']],
    examples: ['baton check /etc/baton/frontend.yaml && baton frontend -c /etc/baton/frontend.yaml'],
    load: () => import('./frontend.js'),
  },
  agent: {
    summary: 'take connections over on a backend host and give them to the application',
    usage: 'baton agent -c FILE',
    options: [['-c, --config FILE', 'agent.yaml']],
    examples: ['baton agent -c /etc/baton/agent.yaml'],
    load: () => import('./agent.js'),
  },
  check: {
    summary: 'read a configuration file and name every mistake with its place',
    usage: 'baton check FILE …',
    options: [['--json', 'one JSON object: { ok, problems: [{ file, line, column, path, message }] }']],
    examples: ['baton check frontend.yaml agent.yaml'],
    load: () => import('./check.js'),
  },
  doctor: {
    summary: 'look at this host (kernel, capabilities, bpffs, VIP, ARP, MTU, peers) and say what to do',
    usage: 'baton doctor [-c FILE] [--json]',
    options: [
      ['-c, --config FILE', 'frontend.yaml or agent.yaml: checks what that role needs here'],
      ['--json', 'one JSON object instead of the table'],
    ],
    examples: ['baton doctor', 'baton doctor -c /etc/baton/agent.yaml'],
    load: () => import('./doctor-command.js'),
  },
  status: {
    summary: 'show a running frontend or agent: backends, handoffs, relays with reasons, flows',
    usage: 'baton status [--admin ADDRESS:PORT] [--once] [--json]',
    options: [
      ['--admin ADDRESS:PORT', 'its admin address; default 127.0.0.1:9900, an agent has 127.0.0.1:9901'],
      ['--once', 'print one table and stop; the default off a terminal'],
      ['--json', 'print /v1/status as it is'],
    ],
    examples: ['baton status', 'baton status --admin 127.0.0.1:9901 --once'],
    load: () => import('./status.js'),
  },
  build: {
    summary: 'compile the native addon of an installed package (needs g++, make, python3, libbpf-dev)',
    usage: 'baton build [--force]',
    options: [['--force', 'also where it is there and up to date']],
    examples: ['npm install baton && npx baton build'],
    load: () => import('./build.js'),
  },
  detach: {
    summary: 'take out of the kernel what a stopped frontend steers or a stopped agent keeps',
    usage: 'baton detach -c FILE',
    options: [['-c, --config FILE', 'frontend.yaml or agent.yaml']],
    examples: ['baton detach -c /etc/baton/frontend.yaml', 'baton detach -c /etc/baton/agent.yaml'],
    load: () => import('./detach.js'),
  },
  demo: {
    summary: 'the whole product on one machine: hosts as network namespaces, real traffic, a tour',
    usage: 'baton demo [--once] [--json]',
    options: [
      ['--once', 'run the tour and stop; without it the lab stays up until Ctrl-C'],
      ['--json', 'progress to stderr; the last line of stdout is { ok, steps: [{ name, ok, figures }] }'],
    ],
    examples: ['npm run demo', 'npm run --silent demo -- --once --json'],
    load: () => import('./demo/index.js'),
  },
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join('')
}

/** The text of `baton --help`, or of `baton NAME --help`. */
export function helpText(name?: string): string {
  const command = name === undefined ? undefined : commands[name]
  if (command !== undefined) {
    const examples = command.examples.map((line) => `  ${line}\n`).join('')
    return `Usage: ${command.usage}\n\n${command.summary}\n\nOptions:\n${columns(command.options)}\nExamples:\n${examples}`
  }
  const rows = Object.entries(commands).map(([key, value]) => [key, value.summary] as const)
  return `baton: an application-layer load balancer that hands the connection over and gets out of the way

Usage: baton COMMAND [options]      baton COMMAND --help

Commands:
${columns(rows)}
Examples:
  npm run demo                                        see it work on this machine
  baton check /etc/baton/frontend.yaml                find mistakes before they matter
  baton doctor -c /etc/baton/agent.yaml               is this host ready?
  baton frontend -c /etc/baton/frontend.yaml
`
}
