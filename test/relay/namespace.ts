import { spawnSync } from 'node:child_process'
import { after } from 'node:test'
import { inNetns, setHomeNetns } from '../../src/kernel/host.js'

function ip(...args: string[]): void {
  const done = spawnSync('ip', args, { encoding: 'utf8' })
  if (done.status !== 0) throw new Error(`ip ${args.join(' ')}: ${done.stderr}`)
}

/** Moves this test process into a fresh network namespace with a working loopback, removed when the tests are over. */
export function ownNamespace(prefix: string): string {
  const name = `${prefix}${process.pid}`
  ip('netns', 'add', name)
  const path = `/run/netns/${name}`
  ip('-n', name, 'link', 'set', 'lo', 'up')
  setHomeNetns(path)
  inNetns(path, () => undefined)
  after(() => ip('netns', 'del', name))
  return name
}
