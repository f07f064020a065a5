import { fileURLToPath } from 'node:url'
import { haproxyConfig } from './haproxy.js'
import { nginxConfig } from './nginx.js'
import type { ProxyName } from './peer.js'

export interface ProxySettings {
  /** ADDRESS:PORT. */
  readonly listen: string
  /** ADDRESS:PORT of each backend. */
  readonly servers: readonly string[]
  /** Connections at once, over all. */
  readonly connections: number
  /** Of the proxy's own. */
  readonly directory: string
  /** Writes a configuration file; returns its path. */
  write(name: string, content: string): string
}

export interface Command {
  readonly command: string
  readonly args: readonly string[]
}

const program = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url))

/** How a proxy is started, once its configuration is written. All of them stay in the foreground. */
export function proxyCommand(name: ProxyName, settings: ProxySettings): Command {
  const { listen, servers, directory, write } = settings
  switch (name) {
    case 'haproxy':
    case 'haproxy-splice': {
      const config = haproxyConfig({ ...settings, splice: name === 'haproxy-splice' })
      return { command: 'haproxy', args: ['-db', '-f', write(`${name}.cfg`, config)] }
    }
    case 'nginx': {
      const config = write('nginx.conf', nginxConfig(settings))
      return { command: 'nginx', args: ['-p', directory, '-e', 'stderr', '-c', config] }
    }
    case 'http-proxy':
      return { command: process.execPath, args: [program('http-proxy-main.js'), listen, ...servers] }
    case 'fastify':
      return { command: process.execPath, args: [program('fastify-main.js'), listen, ...servers] }
    default:
      return name satisfies never
  }
}
