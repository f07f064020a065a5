import { Counter, Gauge, type Registry } from 'prom-client'
import type { ChannelSample, RegistrySample } from './sources.js'

/**
 * How often Node's monitor of the event loop's delay looks, in ms; its figures include this interval. Its own 10 ms would
 * wake an idle process a hundred times a second, and such wake-ups are what an idle process costs.
 */
export const LOOP_DELAY_EVERY_MS = 1000

/** A gauge that is read when somebody scrapes. */
export function readGauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => number | undefined,
): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      const value = read()
      if (value === undefined) this.remove()
      else this.set(value)
    },
  })
}

/** A gauge with one label: read gives the value for each. Those that are gone are not shown any more. */
export function readGauges<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  label: Label,
  read: () => Iterable<readonly [string, number]>,
): void {
  new Gauge<string>({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset()
      for (const [key, value] of read()) this.set({ [label]: key }, value)
    },
  })
}

/** A counter that somebody else keeps. */
export function readCounter(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}

/** What both roles say of their registry. */
export function registryMetrics(registry: Registry, read: () => RegistrySample | undefined): void {
  const connected = () => {
    const sample = read()
    return sample && Number(sample.connected)
  }
  readGauge(registry, 'baton_registry_connected', '1 while the registry answers.', connected)
  readGauge(
    registry,
    'baton_registry_queued_writes',
    'Flow notes that wait for Redis.',
    () => read()?.queuedWrites,
  )
  readCounter(
    registry,
    'baton_registry_dropped_writes_total',
    'Flow notes thrown away: the queue was full, or Redis refused them.',
    () => read()?.droppedWrites ?? 0,
  )
}

/** What both roles say of their control channels; `label` names the other side. */
export function channelMetrics(
  registry: Registry,
  label: 'agent' | 'frontend',
  read: () => readonly ChannelSample[],
): void {
  readGauges(registry, 'baton_channel_up', `1 while the control channel to the ${label} is up.`, label, () =>
    read().map(({ peer, up }) => [peer, Number(up)] as const),
  )
  readGauges(registry, 'baton_channel_rtt_seconds', 'Round trip of the last PING.', label, () =>
    read().flatMap(({ peer, rttMs }) => (rttMs === null ? [] : [[peer, rttMs / 1000] as const])),
  )
}
