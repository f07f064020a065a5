export interface NginxOptions {
  readonly directory: string
  readonly listen: string
  readonly servers: readonly string[]
  /** Connections at once, over all. */
  readonly connections: number
}

/**
 * nginx as a proxy by its own documentation, for speed:
 * - upstream keepalive, with proxy_http_version 1.1 and an empty Connection header as that page wants them:
 *   https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive
 * - proxy_buffering stays on (off, an answer passes "synchronously, immediately as it is received", through one small
 *   buffer), but nothing goes to disk: proxy_max_temp_file_size 0 "disables buffering of responses to temporary files";
 *   larger proxy_buffers: https://nginx.org/en/docs/http/ngx_http_proxy_module.html
 * - worker_processes auto: "setting it to the number of available CPU cores would be a good start";
 *   listen … reuseport: https://nginx.org/en/docs/http/ngx_http_core_module.html#listen
 * - access_log off.
 */
export function nginxConfig({ directory, listen, servers, connections }: NginxOptions): string {
  return `
daemon off;
user root;
worker_processes auto;
worker_rlimit_nofile ${connections * 2 + 256};
pid ${directory}/proxy.pid;
error_log stderr error;
events { worker_connections ${connections * 2 + 128}; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_temp_path ${directory}/proxy-body;
  proxy_temp_path ${directory}/proxy-temp;
  upstream origins {
${servers.map((server) => `    server ${server};`).join('\n')}
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }
  server {
    listen ${listen} backlog=65535 reuseport;
    location / {
      proxy_pass http://origins;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffers 8 64k;
      proxy_buffer_size 16k;
      proxy_busy_buffers_size 128k;
      proxy_max_temp_file_size 0;
      proxy_read_timeout 1h;
      proxy_send_timeout 1h;
    }
  }
}
`
}
