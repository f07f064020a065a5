export interface HaproxyOptions {
  readonly listen: string
  readonly servers: readonly string[]
  /** Forces splicing of answers, whatever HAProxy's own judgement; otherwise they are copied. */
  readonly splice: boolean
  /** Connections at once, over all. */
  readonly connections: number
}

/**
 * HAProxy by its own documentation, for speed (https://docs.haproxy.org/2.6/configuration.html):
 * - nbthread is left alone, and is then the number of CPUs that it may run on;
 * - http-reuse always: "can provide a significant performance increase over the 'safe' strategy", fewest connections to
 *   the servers; it asks for servers that do not break idle connections, which these do not;
 * - splicing, where asked for: `option splice-response` splices "whenever possible", where `splice-auto` would leave it
 *   to heuristics that are "not much aggressive";
 * - tune.pipesize: "when using TCP splicing, it can improve performance to increase pipe sizes";
 * - no log, no stats, no compression, no checks.
 */
export function haproxyConfig({ listen, servers, splice, connections }: HaproxyOptions): string {
  return `
global
  maxconn ${connections}
  ${splice ? 'tune.pipesize 524288' : 'nosplice'}
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
  ${splice ? 'option splice-response' : 'no option splice-auto'}
frontend web
  bind ${listen} backlog 65535
  maxconn ${connections}
  default_backend origins
backend origins
  balance roundrobin
${servers.map((server, index) => `  server origin${index + 1} ${server} maxconn ${connections}`).join('\n')}
`
}
