import { fileURLToPath } from 'node:url'
import { adminPorts, Deployment, type Host } from '../../lab/index.js'
import { FILM_HOST, startFilmAgent, startFilmNginx } from './film.js'
import { SECURE_HOST, startSecureAgent, startSecureNginx } from './secure.js'

const origin = fileURLToPath(new URL('./origin-main.js', import.meta.url))
const APP_PORT = 8080

/** The demo's hosts with their programs; see tour.ts for what happens on them. */
export class DemoHosts extends Deployment {
  constructor() {
    super({ prefix: 'btdemo', frontends: 2, backends: 5, redis: true })
  }

  /** Starts everything, in the order of need. @param say one line of progress a part: where, and what runs there */
  async startAll(say: (where: string, what: string) => void): Promise<void> {
    say('client, router', 'a network of their own in front of the others')
    say('redis', 'redis-server: who is there, and who has which connection')
    await this.startRedis()
    say('backend1', 'a Node application that is its own agent (inline)')
    say('backend2, backend3', 'an application and, beside it, an agent each (http)')
    say('backend4', 'nginx with a certificate; an agent puts connections into its accept queue (adopt)')
    say('backend5', 'nginx with a large file, and an agent that does the same')
    await Promise.all([
      this.startInline(),
      this.startApp(1),
      this.startApp(2),
      startSecureNginx(this, this.secureHost),
      startFilmNginx(this, this.filmHost),
    ])
    await Promise.all([
      this.startWebAgent(1),
      this.startWebAgent(2),
      startSecureAgent(this, this.secureHost),
      startFilmAgent(this, this.filmHost),
    ])
    say('frontend1, frontend2', 'baton frontend; the first has the VIP, the other stands by')
    await Promise.all([this.startDemoFrontend(0), this.startDemoFrontend(1)])
  }

  /** Where nginx terminates TLS. */
  get secureHost(): Host {
    return this.net.backends[3]!
  }

  /** Where nginx has a large file. */
  get filmHost(): Host {
    return this.net.backends[4]!
  }

  /** How an agent delivers now, in its own words. */
  async deliveryOf(host: Host): Promise<string> {
    const url = `http://127.0.0.1:${adminPorts.agent}/v1/status`
    const status = JSON.parse(await host.run('curl', ['-sSf', '--max-time', '5', url])) as { deliver: string }
    return status.deliver
  }

  async startInline(): Promise<void> {
    const host = this.net.backends[0]!
    const file = this.writeSettings('media-1.json', this.agentSettings(host, 'media-1', ['media']))
    const app = this.start('media-1', host, process.execPath, [origin, '--inline', file])
    await app.waitFor({ port: 7400 })
  }

  async startApp(index: 1 | 2): Promise<void> {
    const host = this.net.backends[index]!
    const args = [origin, '--listen', `${host.ipv4}:${APP_PORT}`, '--name', `web-${index}`]
    await this.start(`app-${index}`, host, process.execPath, args).waitFor({ port: APP_PORT })
  }

  async startWebAgent(index: 1 | 2): Promise<void> {
    const host = this.net.backends[index]!
    const deliver = { kind: 'http', address: `${host.ipv4}:${APP_PORT}` }
    await this.startAgent(host, `web-${index}`, ['web'], { deliver })
  }

  /** The same file for both frontends but for their id: either can have the VIP. */
  async startDemoFrontend(index: number): Promise<void> {
    const [media, web1, web2, secure, film] = this.net.backends.map((host) => host.ipv4)
    await this.startFrontend(this.net.frontends[index]!, `front-${index + 1}`, {
      listeners: [
        { name: 'web', address: `${this.net.vip4}:80`, protocol: 'http' },
        { name: 'web6', address: `[${this.net.vip6}]:80`, protocol: 'http' },
        { name: 'secure', address: `${this.net.vip4}:443`, protocol: 'tls' },
        { name: 'secure6', address: `[${this.net.vip6}]:443`, protocol: 'tls' },
      ],
      routes: [
        { match: { sni: SECURE_HOST }, pool: 'secure' },
        { match: { host: FILM_HOST }, pool: 'film' },
        { match: { host: '*.video.example', path: { prefix: '/v/' } }, pool: 'media' },
        { match: { path: { prefix: '/media/' } }, pool: 'media' },
        { match: {}, pool: 'web' },
      ],
      pools: {
        media: { balance: 'roundRobin', backends: [{ id: 'media-1', agent: `${media}:7400` }] },
        film: { backends: [{ id: 'film-1', agent: `${film}:7400` }] },
        secure: { backends: [{ id: 'secure-1', agent: `${secure}:7400` }] },
        web: {
          balance: 'leastConnections',
          backends: [
            { id: 'web-1', agent: `${web1}:7400`, address: `${web1}:${APP_PORT}` },
            { id: 'web-2', agent: `${web2}:7400`, address: `${web2}:${APP_PORT}` },
          ],
        },
      },
    })
  }
}
