import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place, Server } from './server.js'

export interface NginxOptions {
  /** Beside the port in `listen`: `reuseport deferred`. */
  readonly listen?: string
  /** Default 2. */
  readonly workers?: number
  /** In the background, as a service has it: a new binary takes over only then. Default false. */
  readonly daemon?: boolean
}

/** Writes nginx.conf into the folder; returns its path. The access log has `address pid status` a line. */
export function writeNginxConf(
  { folder, root, port, originPort }: Place,
  options: NginxOptions = {},
): string {
  const { listen = '', workers = 2, daemon = false } = options
  const file = join(folder, 'nginx.conf')
  writeFileSync(
    file,
    `user www-data;
     worker_processes ${workers};
     daemon ${daemon ? 'on' : 'off'};
     pid ${folder}/nginx.pid;
     error_log ${folder}/error.log;
     events { worker_connections 1024; }
     http {
       log_format short '$remote_addr $pid $status';
       access_log ${folder}/access.log short;
       sendfile on;
       tcp_nopush on;
       client_max_body_size 64m;
       client_body_temp_path ${folder}/bodies;
       proxy_temp_path ${folder}/proxied;
       server {
         listen ${port} ${listen};
         listen [::]:${port} ${listen};
         root ${root};
         location = /who { return 200 "$remote_addr\\n"; }
         location = /digest { proxy_pass http://127.0.0.1:${originPort}; }
       }
     }\n`,
  )
  return file
}

export const nginx: Server = {
  name: 'nginx',
  debianPackage: 'nginx-light',
  needs: ['nginx'],
  hasOrigin: true,
  backlog: 511,
  prepare: (place) => ['nginx', '-c', writeNginxConf(place, { listen: 'reuseport deferred' })],
}
