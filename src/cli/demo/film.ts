import { closeSync, mkdirSync, openSync, statfsSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Deployment, Host } from '../../lab/index.js'
import { nginxConfig } from './nginx.js'
import { bodyOf } from './origin.js'

/** Where nginx listens: another port than the VIP's. */
export const FILM_PORT = 8080

export const FILM_HOST = 'film.example'
export const FILM_FILE = 'film.bin'
/** Less where half of the room that is left is less, as in a small machine's /run. */
const FILM_BYTES = 2 ** 30

/** In a folder of its own: this nginx has its own logs. */
const filmFolder = (deployment: Deployment): string => deployment.file('film')

export const filmPath = (deployment: Deployment): string => join(filmFolder(deployment), FILM_FILE)

/** Of the film that is there. */
export const filmBytes = (deployment: Deployment): number => statSync(filmPath(deployment)).size

function roomFor(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return Math.min(FILM_BYTES, 2 ** Math.floor(Math.log2((bavail * bsize) / 2)))
}

/** The film, and nginx with it. */
export async function startFilmNginx(deployment: Deployment, host: Host): Promise<void> {
  const folder = filmFolder(deployment)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const film = openSync(filmPath(deployment), 'w')
  for (const piece of bodyOf(roomFor(folder))) {
    writeSync(film, piece)
    // Others start meanwhile.
    await turn()
  }
  closeSync(film)
  const config = nginxConfig({ port: FILM_PORT, tls: false, folder, root: folder })
  const args = ['-c', deployment.write('film.conf', config)]
  await deployment.start('film-nginx', host, 'nginx', args).waitFor({ port: FILM_PORT })
}

/** The agent beside it. Where the kernel cannot adopt, it is a proxy. */
export async function startFilmAgent(deployment: Deployment, host: Host): Promise<void> {
  const address = `127.0.0.1:${FILM_PORT}`
  const fallback = { kind: 'http', address }
  const deliver = { kind: 'adopt', address, session: 'connection', fallback }
  await deployment.startAgent(host, 'film-1', ['film'], { deliver })
}
