export interface HaproxyOptions {
  readonly listen: string
  readonly servers: readonly string[]
  /** Forces splicing of answers, whatever HAProxy's own judgement; otherwise they are copied. */
  readonly splice: boolean
  /** Connections at once, over all. */
  readonly connections: number
}

/**
 * HAProxy by its own documentation, for speed (https://docs.haproxy.org/2.6/configuration.html, management.html):
 * - nbthread is left alone: "The default value is the number of CPUs the program is allowed to run on";
 * - http-reuse always: "allows to share connections … as long as the server is trusted", fewest connections to the servers;
 * - splicing, where asked for: `option splice-response` is the forced one ("if the kernel's splice() is available, use it
 *   to forward the server's data"), `splice-auto` would leave it to a heuristic that looks at the first buffers;
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
