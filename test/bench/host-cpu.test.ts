import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import { HostCpu } from '../../bench/host-cpu/index.js'
import { descendants } from '../../bench/host-cpu/processes.js'
import { Lab } from '../../src/lab/index.js'

test('packets cost the host that receives them, and a process is what it ran itself', async () => {
  const lab = Lab.create({ prefix: 'btcpu' })
  const [near, far, aside] = lab.addHosts(['near', 'far', 'aside'])
  lab.link({ host: near!, addresses: ['10.9.0.1/24'] }, { host: far!, addresses: ['10.9.0.2/24'] })
  const sink = createServer((socket) => socket.resume())
  const port = await far!.listen(sink)
  const cpu = await HostCpu.start()
  after(async () => {
    await cpu.close()
    sink.close()
    await lab.dispose()
  })
  const before = await cpu.read()
  const sent = 'head -c 20000000 /dev/zero >/dev/tcp/10.9.0.2/$0; while read -r _; do :; done'
  const program = near!.spawn('bash', ['-c', `${sent} < <(sleep 60)`, String(port)])
  assert.deepEqual(descendants(process.pid).includes(program.pid), true)
  for (let turn = 0; turn < 400; turn++) {
    const now = await cpu.read()
    if (now.packetsOf(far!) - before.packetsOf(far!) > 100e-6) {
      assert.ok(now.of(near!) > 0 && now.of(near!) < 60)
      // Nothing goes there.
      assert.ok(now.packetsOf(aside!) - before.packetsOf(aside!) < 50e-6)
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  assert.fail('20 MB cost their receiver nothing')
})
