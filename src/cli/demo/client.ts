import type { ExecResult, Host } from '../../lab/index.js'
import type { WhoAmI } from './origin.js'
import { expect } from './step.js'

/** Where a URL's name leads: curl is told the VIP instead of asking a resolver. */
function resolveArgs(url: string, vip: string): string[] {
  const { hostname, port, protocol } = new URL(url)
  const address = vip.includes(':') ? `[${vip}]` : vip
  const listener = protocol === 'https:' ? 443 : 80
  return ['--connect-to', `${hostname}:${port === '' ? listener : port}:${address}:${listener}`]
}

/** curl on the demo's client, towards the VIP. */
export class Client {
  readonly host: Host
  readonly #vip: string

  constructor(host: Host, vip: string) {
    this.host = host
    this.#vip = vip
  }

  /** curl, whatever comes of it. */
  attempt(url: string, args: readonly string[] = []): Promise<ExecResult> {
    const all = ['-sS', '--max-time', '50', ...resolveArgs(url, this.#vip), ...args, url]
    return this.host.exec('curl', all, { timeoutMs: 55_000 })
  }

  /** Standard output of curl. @throws ClaimFailed when it fails */
  async curl(url: string, args: readonly string[] = []): Promise<string> {
    const done = await this.attempt(url, args)
    expect(done.code === 0, `curl ${url} succeeds`, done.stderr.trim())
    return done.stdout
  }

  /** Downloads without keeping the body. */
  async download(url: string, args: readonly string[] = []): Promise<{ sha256: string; seconds: number }> {
    const vip = resolveArgs(url, this.#vip)
    const words = ['curl', '-sS', '--fail', '--max-time', '50', ...vip, ...args, url].map(
      (word) => `'${word.replaceAll("'", "'\\''")}'`,
    )
    const startedAtMs = performance.now()
    const script = `set -o pipefail; ${words.join(' ')} | sha256sum`
    const done = await this.host.exec('bash', ['-c', script], { timeoutMs: 55_000 })
    expect(done.code === 0, `the download of ${url} ends well`, done.stderr.trim())
    return { sha256: done.stdout.slice(0, 64), seconds: (performance.now() - startedAtMs) / 1000 }
  }

  async whoAmI(url: string, args: readonly string[] = []): Promise<WhoAmI> {
    return parseWhoAmI(await this.curl(url, args))
  }
}

/** One line of the application's JSON. */
export function parseWhoAmI(line: string): WhoAmI {
  const value: unknown = JSON.parse(line)
  expect(typeof value === 'object' && value !== null && 'backend' in value, 'the application answers', line)
  return value as WhoAmI
}
