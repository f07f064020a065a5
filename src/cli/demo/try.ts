import type { Host } from '../../lab/index.js'
import type { DemoHosts } from './hosts.js'
import { SECURE_HOST } from './secure.js'

/** Commands for a terminal beside the demo's. */
export interface Suggestion {
  readonly what: string
  readonly commands: readonly string[]
}

/** What a visitor may do with the hosts once the tour is over; each line works as it stands. */
export function thingsToTry(hosts: DemoHosts): Suggestion[] {
  const { net } = hosts
  const on = (host: Host, command: string) => `nsenter --net=${host.path} ${command}`
  const curl = (words: string) => on(net.client, `curl ${words}`)
  const baton = 'node dist/src/cli/main.js'
  const chat = `node dist/src/cli/demo/chat-main.js ${net.vip4}`
  const active = `front-${net.frontends.indexOf(net.active) + 1}`
  return [
    {
      what: 'HTTP: who answers, and whom it saw; the second over IPv6',
      commands: [
        curl(`-s --connect-to ::${net.vip4}:80 http://cat.video.example/v/hello`),
        curl(`-s --connect-to '::[${net.vip6}]:80' http://cat.video.example/v/hello`),
      ],
    },
    {
      what: 'HTTPS with HTTP/2, from nginx',
      commands: [
        curl(
          `-si --http2 --cacert ${hosts.file('cert.pem')} --connect-to ::${net.vip4}:443 https://${SECURE_HOST}/`,
        ),
      ],
    },
    {
      what: 'a WebSocket chat: one in a terminal each, and type',
      commands: [on(net.client, `${chat} anna`), on(net.client, `${chat} ben`)],
    },
    {
      what: 'a long download; kill the frontend in the middle: it goes on, as does the chat; then start another',
      commands: [
        curl(`-o /dev/null --connect-to ::${net.vip4}:80 http://cat.video.example/v/bytes/10000000000`),
        `kill -9 ${hosts.process(active).pid}`,
        on(net.active, `${baton} frontend -c ${hosts.file(`${active}.yaml`)}`),
      ],
    },
    {
      what: 'live: the frontend, and the agent beside nginx',
      commands: [
        on(net.active, `${baton} status`),
        on(hosts.secureHost, `${baton} status --admin 127.0.0.1:9901`),
        on(net.active, 'curl -s http://127.0.0.1:9900/metrics'),
      ],
    },
  ]
}
