import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Deployment } from '../../src/lab/index.js'
import { statusOf } from './support.js'

/** cert.pem and key.pem for the names, and ticket.key, in the deployment's folder. */
export async function makeCertificate(baton: Deployment, names: readonly string[]): Promise<void> {
  const alternatives = names.map((name) => `DNS:${name}`).join(',')
  await baton.net.client.run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=baton test', '-addext', `subjectAltName=${alternatives}`],
    ...['-keyout', baton.file('key.pem'), '-out', baton.file('cert.pem')],
  ])
  baton.write('ticket.key', randomBytes(80))
}

/** curl's words for a name at the VIP, which must show the backend's certificate. */
export function curlWords(baton: Deployment, name: string, vip = baton.net.vip4): string[] {
  const resolve = ['--resolve', `${name}:443:${vip}`]
  return ['-sS', '--fail', '--max-time', '40', '--cacert', baton.file('cert.pem'), ...resolve]
}

/** curl into sha256sum. @returns the sum */
export async function tlsDownload(
  baton: Deployment,
  url: string,
  args: readonly string[] = [],
): Promise<string> {
  const words = ['curl', ...curlWords(baton, new URL(url).hostname), ...args, url]
  const script = `set -o pipefail; ${words.join(' ')} | sha256sum`
  return (await baton.net.client.run('bash', ['-c', script], { timeoutMs: 45_000 })).slice(0, 64)
}

/** openssl s_client at the VIP, whatever its exit; what it said. @param input what it sends, then it ends */
export async function sClient(baton: Deployment, args: readonly string[], input = ''): Promise<string> {
  const words = ['s_client', '-connect', `${baton.net.vip4}:443`, '-CAfile', baton.file('cert.pem'), ...args]
  const { stdout, stderr } = await baton.net.client.exec('openssl', words, { input, timeoutMs: 10_000 })
  return stdout + stderr
}

/** What the frontend counted while something was done. */
export async function counted<T>(baton: Deployment, act: () => Promise<T>) {
  const earlier = await statusOf(baton)
  const result = await act()
  const now = await statusOf(baton)
  const grown = (before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>) =>
    Object.fromEntries(
      Object.entries(after)
        .map(([key, value]) => [key, value - (before[key] ?? 0)] as const)
        .filter(([, value]) => value > 0),
    )
  return {
    result,
    adopted: now.handoffs.adopted - earlier.handoffs.adopted,
    returned: now.handoffs.returned - earlier.handoffs.returned,
    relays: grown(earlier.relays, now.relays),
    rejected: grown(earlier.rejected, now.rejected),
  }
}

/** The lines of JSON of a log, once they satisfy the condition. */
export async function linesOf<T>(
  file: string,
  what: string,
  wanted: (lines: readonly T[]) => boolean,
): Promise<readonly T[]> {
  let lines: T[] = []
  for (let round = 0; round < 200; round++) {
    const text = readFileSync(file, 'utf8')
    // The last piece is a line that is still being written.
    lines = text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as T)
    if (wanted(lines)) return lines
    await sleep(50)
  }
  return assert.fail(`within 10 s: ${what}; ${JSON.stringify(lines.slice(-5))}`)
}
