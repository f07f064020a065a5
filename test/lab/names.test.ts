import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBatonError } from '../../src/errors/index.js'
import { Lab, ownerPid, standardTopology } from '../../src/lab/index.js'

test('a namespace names the process that owns it', () => {
  assert.equal(ownerPid('btdemo4711-client'), 4711)
  assert.equal(ownerPid('btdemo4711-2-frontend1'), 4711)
  for (const foreign of ['docker1', 'bt-client', 'btdemo-4711', 'cni-4711-a', 'btdemo4711']) {
    assert.equal(ownerPid(foreign), undefined, foreign)
  }
})

test('two labs of one process do not share a name', () => {
  const names = [Lab.create({ prefix: 'btlabname' }).name, Lab.create({ prefix: 'btlabname' }).name]
  assert.deepEqual(names, [`btlabname${process.pid}`, `btlabname${process.pid}-2`])
  for (const name of names) assert.equal(ownerPid(`${name}-a`), process.pid)
})

test('names that Linux or the clean-up could not take are refused', () => {
  const refused = (make: () => unknown) =>
    assert.throws(make, (error: unknown) => isBatonError(error, 'BATON_LAB_NAME'))
  refused(() => Lab.create({ prefix: 'demo' }))
  refused(() => Lab.create({ prefix: 'bt9' }))
  const lab = Lab.create({ prefix: 'btlabname' })
  refused(() => lab.host('Client'))
  refused(() => lab.host('a-b'))
  refused(() => lab.host('averylonghostname'))
  refused(() => standardTopology({ prefix: 'btlabname', frontends: 10 }))
})
