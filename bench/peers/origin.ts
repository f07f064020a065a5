import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { bodyOf } from '../../src/cli/demo/origin.js'

/** Where the application listens on every backend. */
export const ORIGIN_PORT = 8080

export interface OriginOptions {
  /** Of the server's own. */
  readonly directory: string
  /** What it serves. */
  readonly files: string
  readonly workers: number
  /** Open files that a worker may have. */
  readonly descriptors: number
}

/**
 * nginx as the application: a server that nobody here wrote. By its own documentation, for speed:
 * - sendfile with tcp_nopush, "sending the response header and the beginning of a file in one packet":
 *   https://nginx.org/en/docs/http/ngx_http_core_module.html
 * - open_file_cache: no open, stat and close for each request (same page);
 * - one worker for each backend, unless a benchmark holds more connections than one may have files: all hosts of the lab
 *   share the machine's cores;
 * - keepalive_requests and keepalive_timeout far above what a round asks for, so that no connection ends in mid-measurement.
 */
export function originConfig({ directory, files, workers, descriptors }: OriginOptions): string {
  return `
daemon off;
user root;
worker_processes ${workers};
worker_rlimit_nofile ${descriptors};
pid ${directory}/origin.pid;
error_log stderr error;
events { worker_connections ${descriptors - 256}; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  open_file_cache max=100 inactive=1h;
  open_file_cache_valid 1h;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  default_type application/octet-stream;
  server {
    listen ${ORIGIN_PORT} backlog=65535 default_server;
    listen [::]:${ORIGIN_PORT} backlog=65535 default_server;
    root ${files};
  }
}
`
}

/** Writes the object of that many bytes, the same bytes as the demo's application answers. */
export async function writeObject(file: string, bytes: number): Promise<void> {
  const stream = createWriteStream(file, { mode: 0o600 })
  for (const piece of bodyOf(bytes)) if (!stream.write(piece)) await once(stream, 'drain')
  stream.end()
  await once(stream, 'close')
}
