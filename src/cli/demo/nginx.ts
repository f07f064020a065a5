/** What nginx notes of each request in the demo, one JSON object a line. */
export interface NginxLine {
  readonly client: string
  readonly uri: string
  readonly protocol: string
  readonly tls: string
}

const noted: Readonly<Record<keyof NginxLine, string>> = {
  client: '$remote_addr',
  uri: '$uri',
  protocol: '$server_protocol',
  tls: '$ssl_protocol',
}

/** An nginx as it comes, which knows nothing of Baton. */
export function nginxConfig(options: {
  readonly port: number
  /** Terminates TLS with cert.pem and key.pem of the folder, and speaks HTTP/2. */
  readonly tls: boolean
  /** Gets the logs. */
  readonly folder: string
  /** The files that it serves. */
  readonly root: string
}): string {
  const { port, tls, folder, root } = options
  const listen = tls ? `${port} ssl http2` : String(port)
  const certificate = `
    ssl_certificate ${folder}/cert.pem;
    ssl_certificate_key ${folder}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;`
  return `user root;
worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.error.log;
events {}
http {
  log_format noted escape=json '${JSON.stringify(noted)}';
  access_log ${folder}/nginx.access.log noted;
  sendfile on;
  tcp_nopush on;
  server {
    listen ${listen};
    listen [::]:${listen};${tls ? certificate : ''}
    root ${root};
  }
}
`
}
