import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { after, describe } from 'node:test'
import { enterNamespace, openDescriptors, request, until, withRig } from './rig.js'

const leave = enterNamespace('des')
after(leave)

function setSoftLimit(limit: number): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${limit}:`])
}

describe('no descriptors left', () => {
  const soft = Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1])

  withRig('lets accepting rest, without spinning, until there are some again', {}, async (rig) => {
    const port = rig.listen()
    rig.gate.pause()
    for (let count = 0; count < 5; count++) {
      const client = await rig.client(port)
      await new Promise((resolve) => client.write(request('/'), resolve))
    }
    setSoftLimit(openDescriptors() + 40)
    const fillers: number[] = []
    const startedMs = performance.now()
    try {
      for (let full = false; !full; ) {
        try {
          fillers.push(openSync('/dev/null', 'r'))
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, 'EMFILE')
          full = true
        }
      }
      rig.gate.resume()
      await until('three attempts', () => rig.gate.stats.acceptRests >= 3)
      assert.equal(rig.gate.stats.accepted, 0)
      const attempts = (performance.now() - startedMs) / 50 + 2
      assert.ok(rig.gate.stats.acceptRests <= attempts, `${rig.gate.stats.acceptRests} of ${attempts}`)
    } finally {
      for (const fd of fillers) closeSync(fd)
      setSoftLimit(soft)
    }
    await until('all arrivals', () => rig.arrivals.length === 5)
  })
})
