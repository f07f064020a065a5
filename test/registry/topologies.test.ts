import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Redis } from 'ioredis'
import type { Registry } from '../../src/registry/index.js'
import { RedisServer, until } from './redis-server.js'
import { backend, flow, ids, redisRegistry } from './support.js'

describe('Redis in other forms', () => {
  test('a cluster: backends, and flows over all of its slots', async () => {
    const node = await RedisServer.start(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'])
    const admin = new Redis(node.port)
    try {
      await admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
      await until('the cluster', async () =>
        String(await admin.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
      )
      const registry = redisRegistry(`redis+cluster://127.0.0.1:${node.port}`)
      await exercise(registry)
      await until('all notes gone', async () => (await admin.dbsize()) === 0)
    } finally {
      admin.disconnect()
      await node.dispose()
    }
  })

  test('a master that Sentinel names', async () => {
    const master = await RedisServer.start()
    const watcher = await startSentinel(master)
    try {
      const registry = redisRegistry(`redis+sentinel://127.0.0.1:${watcher.port}/front`)
      await exercise(registry)
    } finally {
      await watcher.stop()
      await master.dispose()
    }
  })

  async function exercise(registry: Registry): Promise<void> {
    try {
      await registry.start()
      assert.equal(registry.status().connected, true)
      const announcement = registry.announce(backend('media-1'))
      await until('the backend', () => ids(registry).includes('media-1'))
      const flows = Array.from({ length: 200 }, (_, index) => flow(index))
      registry.putFlows(flows)
      await until('the queue', () => registry.status().queuedWrites === 0)
      for (const one of flows.slice(0, 20)) {
        await until('the note', async () => (await registry.findFlow(one.key))?.handoffId === one.handoffId)
      }
      registry.removeFlows(flows.map(({ key }) => key))
      await until('the end of the notes', async () => (await registry.findFlow(flow(7).key)) === undefined)
      await announcement.withdraw()
      await until('the withdrawal', () => ids(registry).length === 0)
      assert.equal(registry.status().droppedWrites, 0)
    } finally {
      await registry.close()
    }
  }

  async function startSentinel(master: RedisServer): Promise<{ port: number; stop(): Promise<void> }> {
    const port = master.port > 40_000 ? master.port - 10_001 : master.port + 10_001
    const file = join(master.directory, 'sentinel.conf')
    writeFileSync(
      file,
      `bind 127.0.0.1\nport ${port}\ndir ${master.directory}\nsentinel monitor front 127.0.0.1 ${master.port} 1\n`,
    )
    const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })
    const admin = new Redis(port, { retryStrategy: () => 50 })
    admin.on('error', () => {})
    await until('Sentinel', () => admin.status === 'ready')
    admin.disconnect()
    return {
      port,
      stop: async () => {
        const gone = once(child, 'exit')
        child.kill('SIGKILL')
        await gone
      },
    }
  }
})
