import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { BpfMap, loadObject, runProgram } from '../../src/kernel/bpf.js'
import { type FlowKey, flowKey } from '../../src/kernel/flow.js'
import { closeFd } from '../../src/kernel/host.js'
import { frameFlow } from '../../src/steering/frame.js'
import { flowValueLayout, totalsLayout, writeFlowValue } from '../../src/steering/layout.js'
import { steeringObject } from '../../src/steering/pins.js'
import { ethernet, flags, icmp, ipPacket, type Station, segment, tcpPacket } from './segment.js'

/** The loopback's own, so that the kernel takes the frames for this host's. */
const mac = Buffer.alloc(6)
const ends = {
  ipv4: {
    client: { mac, address: '192.0.2.10', port: 4711 },
    vip: { mac, address: '10.0.0.100', port: 80 },
  },
  ipv6: {
    client: { mac, address: '2001:db8::10', port: 4711 },
    vip: { mac, address: 'fd00::100', port: 80 },
  },
} as const
const { client, vip } = ends.ipv4
const { client: client6, vip: vip6 } = ends.ipv6
const options8 = (type: number): readonly [number, Buffer] => [type, Buffer.alloc(8)]
const hopByHop = 0
const routing = 43
const fragment = 44
const destination = 60

/** An IPv6 fragment header with this offset (in 8-byte units) and the more-fragments flag. */
const fragmentHeader = (offset: number): readonly [number, Buffer] => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16BE((offset << 3) | 1, 2)
  return [fragment, bytes]
}

const longOption: readonly [number, Buffer] = [destination, Buffer.alloc(24)]
longOption[1][1] = 2

const quote = (from: Station, to: Station, extra = {}) =>
  Buffer.concat([Buffer.alloc(4), tcpPacket(from, to, extra)])

const matching: Record<string, Buffer> = {
  'IPv4 segment': segment(client, vip, { payload: 'x' }),
  'IPv4 SYN': segment(client, vip, { flags: flags.syn }),
  'IPv4 options': segment(client, vip, { ipOptions: Buffer.alloc(40, 1), payload: 'x' }),
  'first IPv4 fragment': segment(client, vip, { fragment: 0x2000, payload: 'x'.repeat(64) }),
  'IPv6 segment': segment(client6, vip6, { payload: 'x' }),
  'IPv6 extension headers': segment(client6, vip6, {
    extensions: [options8(hopByHop), options8(routing), longOption],
  }),
  'IPv6 first fragment': segment(client6, vip6, { extensions: [fragmentHeader(0)] }),
  'IPv6 five extension headers': segment(client6, vip6, {
    extensions: Array.from({ length: 5 }, () => options8(destination)),
  }),
  'fragmentation needed': icmp(client, vip, 3, 4, quote(vip, client)),
  'fragmentation needed, quoted options': icmp(
    client,
    vip,
    3,
    4,
    quote(vip, client, { ipOptions: Buffer.alloc(4, 1) }),
  ),
  'packet too big': icmp(client6, vip6, 2, 0, quote(vip6, client6)),
  'packet too big, quoted extension header': icmp(
    client6,
    vip6,
    2,
    0,
    quote(vip6, client6, { extensions: [options8(destination)] }),
  ),
}

const other: Record<string, Buffer> = {
  'later IPv4 fragment': segment(client, vip, { fragment: 0x00b9 }),
  'later IPv6 fragment': segment(client6, vip6, { extensions: [fragmentHeader(8)] }),
  'IPv6 six extension headers': segment(client6, vip6, {
    extensions: Array.from({ length: 6 }, () => options8(destination)),
  }),
  UDP: ethernet(mac, mac, ipPacket(client.address, vip.address, 17, Buffer.alloc(30))),
  'echo request': icmp(client, vip, 8, 0, quote(vip, client)),
  'quote of a later fragment': icmp(client, vip, 3, 4, quote(vip, client, { fragment: 1 })),
  'ICMP in ICMP': icmp(
    client,
    vip,
    3,
    4,
    Buffer.concat([Buffer.alloc(4), icmp(vip, client, 3, 4, quote(vip, client)).subarray(14)]),
  ),
  ARP: Buffer.concat([mac, mac, Buffer.from('0806', 'hex'), Buffer.alloc(46)]),
  VLAN: Buffer.concat([
    mac,
    mac,
    Buffer.from('81000005', 'hex'),
    Buffer.from('0800', 'hex'),
    tcpPacket(client, vip, {}),
  ]),
}

const tcRedirect = 7
const unspecified = -1

describe('the program and the process', () => {
  let steer: number
  let flows: BpfMap
  const fds: number[] = []
  before(() => {
    const fd = loadObject(steeringObject, { flows: { maxEntries: 64 } })
    steer = fd('steer')
    flows = new BpfMap(fd('flows'))
    fds.push(steer, fd('playback'), flows.fd, fd('settings'), fd('totals'))
  })
  after(() => {
    for (const fd of fds) closeFd(fd)
  })

  /** What the program does with a frame while exactly these flows are parked. */
  function verdict(frame: Buffer, parked: readonly FlowKey[]): number {
    const value = Buffer.alloc(flowValueLayout.size)
    writeFlowValue(value, 0, 'park', 1, undefined)
    for (const key of parked) flows.set(key, value)
    const done = runProgram(steer, frame, 1)
    for (const key of parked) flows.delete(key)
    return done.verdict
  }

  const keys = [flowKey(ends.ipv4), flowKey(ends.ipv6)]

  for (const [name, frame] of Object.entries(matching)) {
    test(`both read the same flow: ${name}`, () => {
      const key = frameFlow(frame)
      assert.ok(key && keys.some((own) => own.equals(key)))
      assert.equal(verdict(frame, [key]), tcRedirect)
      assert.equal(
        verdict(
          frame,
          keys.filter((own) => !own.equals(key)),
        ),
        unspecified,
      )
    })
  }

  for (const [name, frame] of Object.entries(other)) {
    test(`both leave it alone: ${name}`, () => {
      assert.equal(frameFlow(frame), undefined)
      assert.equal(verdict(frame, keys), unspecified)
    })
  }

  test('20,000 mutated frames: both read the same flow, or both none', () => {
    const seeds = [...Object.values(matching), ...Object.values(other)]
    let state = 20_251
    const random = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return Math.floor((state / 0x1_0000_0000) * below)
    }
    let flowsRead = 0
    for (let round = 0; round < 20_000; round++) {
      const frame = Buffer.from(seeds[random(seeds.length)]!)
      // Not the Ethernet addresses: they decide whose frame it is, which is the kernel's business.
      for (let hits = 1 + random(4); hits > 0; hits--) {
        frame[12 + random(Math.min(frame.length - 12, 100))] = random(256)
      }
      // BPF_PROG_TEST_RUN wants a whole IPv6 header.
      const cut = random(4) === 0 ? frame.subarray(0, 54 + random(frame.length - 53)) : frame
      const key = frameFlow(cut)
      if (key) flowsRead++
      assert.equal(
        verdict(cut, key ? [key] : keys),
        key ? tcRedirect : unspecified,
        `${key?.toString('hex')} of ${cut.toString('hex')}`,
      )
    }
    assert.ok(flowsRead > 5000, `${flowsRead} frames still had a flow`)
  })

  test('the totals are one structure a CPU', () => {
    const totals = new BpfMap(fds[4]!)
    assert.equal(totals.valueBytes, totals.info.possibleCpus * totalsLayout.size)
  })
})
