import type { HostPattern } from '../config/index.js'

/** What an index holds: the position in the document decides among those that match. */
export interface Indexed {
  readonly index: number
}

/** Entries by host pattern. */
export interface HostIndex<Entry extends Indexed, Subject> {
  /** In the document's order. */
  add(pattern: HostPattern, entry: Entry): void
  /** The first that has this host and fits. @param host null when there is none: only patterns for any host match */
  match(host: string | null, subject: Subject): Entry | undefined
}

/**
 * Matches by a hash of the host, so that the cost grows with the routes of that host and not with all of them. Nothing
 * is allocated in a match, but for slices of the host when wildcards exist.
 */
export function hostIndex<Entry extends Indexed, Subject>(
  fits: (entry: Entry, subject: Subject) => boolean,
): HostIndex<Entry, Subject> {
  const anyHost: Entry[] = []
  const exactHost = new Map<string, Entry[]>()
  const belowHost = new Map<string, Entry[]>()

  /** The first of a list that fits, if it stands before `best`. */
  function first(list: readonly Entry[] | undefined, subject: Subject, best: Entry | undefined) {
    if (list === undefined) return best
    for (const entry of list) {
      if (best !== undefined && entry.index > best.index) return best
      if (fits(entry, subject)) return entry
    }
    return best
  }

  return {
    add(pattern, entry) {
      if (pattern.kind === 'any') anyHost.push(entry)
      else if (pattern.kind === 'exact') append(exactHost, pattern.name, entry)
      else append(belowHost, pattern.suffix, entry)
    },
    match(host, subject) {
      let best = first(anyHost, subject, undefined)
      if (host === null) return best
      best = first(exactHost.get(host), subject, best)
      if (belowHost.size === 0) return best
      // From 1: at least one character stands before the suffix.
      for (let dot = host.indexOf('.', 1); dot >= 0; dot = host.indexOf('.', dot + 1)) {
        best = first(belowHost.get(host.slice(dot)), subject, best)
      }
      return best
    },
  }
}

function append<Entry>(lists: Map<string, Entry[]>, key: string, entry: Entry): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [entry])
  else list.push(entry)
}
