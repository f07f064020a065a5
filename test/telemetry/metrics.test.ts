import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AgentMetrics, FrontendMetrics } from '../../src/telemetry/index.js'

/** The samples of a scrape: name with labels → value. */
async function scrape(metrics: { text(): Promise<string> }): Promise<Map<string, number>> {
  const samples = new Map<string, number>()
  for (const line of (await metrics.text()).split('\n')) {
    const match = /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/.exec(line)
    if (match?.[1] !== undefined) samples.set(match[1], Number(match[2]))
  }
  return samples
}

describe('metrics', () => {
  test('count what was counted, by label', async () => {
    const metrics = new FrontendMetrics()
    const rejected = metrics.rejected.child('404')
    rejected.value++
    rejected.value += 2
    metrics.rejected.inc('431')
    for (const pool of ['media', 'media', 'other', 'media']) metrics.requests.inc('web', pool)
    metrics.requests.inc('tls', 'media')
    metrics.handoffs.inc('adopted')
    metrics.relayed.inc('agent_down')
    metrics.bytes.child('out').value += 2 ** 40
    for (const _ of [1, 2]) {
      const samples = await scrape(metrics)
      assert.equal(samples.get('baton_rejected_total{status="404"}'), 3)
      assert.equal(samples.get('baton_rejected_total{status="431"}'), 1)
      assert.equal(samples.get('baton_requests_total{listener="web",pool="media"}'), 3)
      assert.equal(samples.get('baton_requests_total{listener="web",pool="other"}'), 1)
      assert.equal(samples.get('baton_requests_total{listener="tls",pool="media"}'), 1)
      assert.equal(samples.get('baton_handoffs_total{result="adopted"}'), 1)
      assert.equal(samples.get('baton_handoffs_total{result="lost"}'), 0)
      assert.equal(samples.get('baton_relayed_total{reason="agent_down"}'), 1)
      assert.equal(samples.get('baton_handed_over_bytes_total{direction="out"}'), 2 ** 40)
    }
    assert.deepEqual(metrics.rejected.totals(), { 404: 3, 431: 1 })
  })

  test('put times into buckets from microseconds on', async () => {
    const metrics = new FrontendMetrics()
    const freeze = metrics.phases.child('freeze')
    for (const seconds of [5e-6, 6e-6, 20e-6, 1, 100]) freeze.observe(seconds)
    metrics.phases.child('offer').observe(3e-4)
    const samples = await scrape(metrics)
    const bucket = (le: string) =>
      samples.get(`baton_handoff_phase_seconds_bucket{le="${le}",phase="freeze"}`)
    assert.deepEqual(
      ['0.000005', '0.00001', '0.000025', '0.5', '1', '10', '+Inf'].map(bucket),
      [1, 2, 3, 3, 4, 4, 5],
    )
    assert.equal(samples.get('baton_handoff_phase_seconds_count{phase="freeze"}'), 5)
    assert.equal(samples.get('baton_handoff_phase_seconds_sum{phase="freeze"}'), 101.000031)
    assert.equal(samples.get('baton_handoff_phase_seconds_count{phase="offer"}'), 1)
    assert.match(await metrics.text(), /# TYPE baton_handoff_phase_seconds histogram/)
    const json = await metrics.registry.getMetricsAsJSON()
    assert.ok(json.some(({ name, values }) => name === 'baton_handoff_phase_seconds' && values.length > 40))
  })

  test('read what others keep when they are scraped', async () => {
    let flows: Record<string, number> = { park: 1, steer: 20 }
    let rttMs: number | null = null
    const metrics = new FrontendMetrics({
      flows: () => flows,
      steered: () => ({ packets: 7, bytes: 700, proven: 3 }),
      channels: () => [{ peer: 'media-1', up: true, rttMs }],
      offersInFlight: () => 3,
      registry: () => ({ connected: false, queuedWrites: 12, droppedWrites: 4 }),
    })
    const before = await scrape(metrics)
    assert.equal(before.get('baton_flows{state="park"}'), 1)
    assert.equal(before.get('baton_steered_bytes_total'), 700)
    assert.equal(before.get('baton_flows_proven_total'), 3)
    assert.equal(before.get('baton_channel_up{agent="media-1"}'), 1)
    assert.equal(before.get('baton_channel_rtt_seconds{agent="media-1"}'), undefined)
    assert.equal(before.get('baton_offers_in_flight'), 3)
    assert.equal(before.get('baton_registry_connected'), 0)
    assert.equal(before.get('baton_registry_queued_writes'), 12)
    assert.equal(before.get('baton_registry_dropped_writes_total'), 4)
    flows = { steer: 21 }
    rttMs = 0.25
    const later = await scrape(metrics)
    assert.equal(later.get('baton_flows{state="park"}'), undefined)
    assert.equal(later.get('baton_flows{state="steer"}'), 21)
    assert.equal(later.get('baton_channel_rtt_seconds{agent="media-1"}'), 0.00025)
  })

  test('of an agent, beside those of a frontend in the same process', async () => {
    const [agent, frontend] = [new AgentMetrics({ active: () => 5 }), new FrontendMetrics()]
    agent.adopted.inc()
    agent.refused.inc('BATON_AGENT_FULL')
    agent.requests.inc('2xx')
    const samples = await scrape(agent)
    assert.equal(samples.get('baton_agent_adopted_total'), 1)
    assert.equal(samples.get('baton_agent_refused_total{code="BATON_AGENT_FULL"}'), 1)
    assert.equal(samples.get('baton_agent_active_connections'), 5)
    assert.equal((await scrape(frontend)).has('baton_agent_adopted_total'), false)
    assert.match(agent.contentType, /^text\/plain; version=0\.0\.4/)
  })

  test('keep to the conventions of Prometheus: prefix, help, counters that end in total', async () => {
    for (const metrics of [new FrontendMetrics(), new AgentMetrics()]) {
      const rows = metrics.registry.getMetricsAsArray()
      const own = rows.filter(({ name }) => name.startsWith('baton_'))
      assert.ok(own.length > 10)
      for (const { name, help } of own) assert.match(help, /\.$/, name)
      for (const { name } of rows) assert.match(name, /^(baton|process|nodejs)_/)
      for (const [, name, type] of (await metrics.text()).matchAll(/# TYPE (baton_\S+) (\S+)/g)) {
        assert.equal(type === 'counter', name?.endsWith('_total'), name)
      }
    }
  })

  test('a label value cannot break out of its line', async () => {
    const metrics = new FrontendMetrics()
    metrics.refusals.inc('a"} 1\nbaton_forged 1')
    assert.ok(!(await metrics.text()).split('\n').some((line) => line.startsWith('baton_forged')))
  })
})
