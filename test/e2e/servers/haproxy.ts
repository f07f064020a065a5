import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place, Server } from './server.js'

/** HAProxy as the application: a frontend with answers of its own, and a backend for the rest. */
export const haproxy: Server = {
  name: 'haproxy',
  debianPackage: 'haproxy',
  needs: ['haproxy'],
  hasOrigin: true,
  backlog: 1024,
  prepare({ folder, port, originPort }: Place) {
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(
      file,
      `global
  maxconn 1024
  nbthread 2
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend web
  bind :::${port} v4v6
  http-request return status 200 content-type text/plain lf-string "%[src]\\n" if { path /who }
  default_backend origin
backend origin
  server origin 127.0.0.1:${originPort}
`,
    )
    return ['haproxy', '-f', file]
  },
}
