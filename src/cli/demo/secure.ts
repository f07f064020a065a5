import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Deployment, Host } from '../../lab/index.js'
import { nginxConfig } from './nginx.js'
import { bodyOf } from './origin.js'

/** Where nginx listens: another port than the VIP's, as it is its own. */
const TLS_PORT = 8443

export const SECURE_HOST = 'secure.example'
export const SECURE_BYTES = 32 * 1024 * 1024
export const SECURE_FILE = 'film.bin'

/** A page, a film and a certificate for SECURE_HOST, and nginx with all of it. */
export async function startSecureNginx(deployment: Deployment, host: Host): Promise<void> {
  const root = deployment.file('www')
  mkdirSync(root, { recursive: true })
  writeFileSync(join(root, 'index.html'), '<!doctype html><title>Baton</title><p>nginx, by its own TLS\n')
  writeFileSync(join(root, SECURE_FILE), Buffer.concat([...bodyOf(SECURE_BYTES)]))
  await host.run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', `/CN=${SECURE_HOST}`, '-addext', `subjectAltName=DNS:${SECURE_HOST}`],
    ...['-keyout', deployment.file('key.pem'), '-out', deployment.file('cert.pem')],
  ])
  const config = nginxConfig({ port: TLS_PORT, tls: true, folder: deployment.directory, root })
  const args = ['-c', deployment.write('nginx.conf', config)]
  await deployment.start('nginx', host, 'nginx', args).waitFor({ port: TLS_PORT })
}

/** The agent beside it. Where the kernel cannot adopt, it carries the bytes itself. */
export async function startSecureAgent(deployment: Deployment, host: Host): Promise<void> {
  const address = `127.0.0.1:${TLS_PORT}`
  const fallback = { kind: 'tcp', address }
  const deliver = { kind: 'adopt', address, session: 'connection', fallback }
  await deployment.startAgent(host, 'secure-1', ['secure'], { deliver })
}
