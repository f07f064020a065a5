import type { BackendRecord } from './registry.js'

/** The merged list of backends: those of the configuration file, and those that announced themselves. */
export class BackendList {
  readonly #configured: readonly BackendRecord[]
  #announced: ReadonlyMap<string, BackendRecord> = new Map()
  #merged: readonly BackendRecord[]
  #text: string
  readonly #listeners = new Set<(backends: readonly BackendRecord[]) => void>()

  constructor(configured: readonly BackendRecord[]) {
    this.#configured = configured
    this.#merged = merge(configured, this.#announced)
    this.#text = JSON.stringify(this.#merged)
  }

  get merged(): readonly BackendRecord[] {
    return this.#merged
  }

  get announced(): ReadonlyMap<string, BackendRecord> {
    return this.#announced
  }

  /** Replaces what is announced, and tells the listeners if that changes the list. */
  setAnnounced(announced: ReadonlyMap<string, BackendRecord>): void {
    this.#announced = announced
    const merged = merge(this.#configured, announced)
    const text = JSON.stringify(merged)
    if (text === this.#text) return
    this.#merged = merged
    this.#text = text
    for (const listener of [...this.#listeners]) listener(merged)
  }

  listen(listener: (backends: readonly BackendRecord[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}

/**
 * A backend that the file lists is described by the file (addresses and weight, which an operator may override);
 * its agent says whether it drains, what it has, and which process it is, and may add pools and missing addresses.
 */
function merge(
  configured: readonly BackendRecord[],
  announced: ReadonlyMap<string, BackendRecord>,
): readonly BackendRecord[] {
  const merged = new Map(announced)
  for (const own of configured) {
    const live = announced.get(own.id)
    if (live === undefined) merged.set(own.id, own)
    else {
      merged.set(own.id, {
        ...live,
        pools: [...new Set([...own.pools, ...live.pools])],
        agent: own.agent ?? live.agent,
        address: own.address ?? live.address,
        weight: own.weight,
      })
    }
  }
  return [...merged.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}
