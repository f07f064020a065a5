import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  adoptionLayout,
  attrsLayout,
  endingLayout,
  offerLayout,
} from '../../src/backend-agent/adopt-layout.js'
import { adoptObject } from '../../src/backend-agent/adopt-programs.js'
import { objectStructure } from '../../src/kernel/bpf.js'

for (const [name, layout] of [
  ['adoption', adoptionLayout],
  ['bpf_tcp_req_attrs', attrsLayout],
  ['offer', offerLayout],
  ['ending', endingLayout],
] as const) {
  test(`struct ${name} lies in the compiled object as TypeScript reads it`, () => {
    assert.deepEqual(objectStructure(adoptObject, name), layout)
  })
}
