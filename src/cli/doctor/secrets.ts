import { readFileSync, type Stats, statSync } from 'node:fs'
import type { ControlFacts } from './facts.js'
import { type Area, reason } from './finding.js'

/** As the control channel demands it. */
const shortestToken = 32

/** Whether the secrets of the control channel are there, are readable here, and by nobody else. */
export function checkSecrets(area: Area, control: ControlFacts): void {
  if ('tokenFile' in control) {
    const token = checkFile(area, 'token', control.tokenFile, true)
    if (token !== undefined && token.trim().length < shortestToken) {
      const fix = `head -c 32 /dev/urandom | base64 > ${control.tokenFile}, the same on every host`
      area.fail('token length', `fewer than ${shortestToken} characters`, fix)
    }
    return
  }
  checkFile(area, 'certificate', control.tls.certFile, false)
  checkFile(area, 'private key', control.tls.keyFile, true)
  checkFile(area, 'authorities', control.tls.caFile, false)
}

/** Returns the text of a file that can be used. */
function checkFile(area: Area, name: string, path: string, secret: boolean): string | undefined {
  let stat: Stats
  let text: string
  try {
    stat = statSync(path)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    area.fail(name, reason(error), `Put the file there, readable for the user that runs Baton.`)
    return undefined
  }
  const open = (stat.mode & 0o077) !== 0
  const mode = (stat.mode & 0o777).toString(8)
  if (secret && open) area.fail(name, `${path} has mode ${mode}: others may read it`, `chmod 600 ${path}`)
  else area.ok(name, `${path}, mode ${mode}`)
  return text
}
