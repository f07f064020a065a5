import { native } from './native.js'

interface BpfCalls {
  bpfLoad(path: string, maps: [name: string, fd: number, maxEntries: number][]): Record<string, number>
  bpfPin(fd: number, path: string): void
  bpfGet(path: string): number
  bpfMapInfo(fd: number): MapInfo
  bpfLookup(
    fd: number,
    keys: Buffer,
    keyBytes: number,
    values: Buffer,
    valueBytes: number,
    found: Buffer,
    count: number,
  ): number
  bpfUpdate(fd: number, keys: Buffer, values: Buffer, count: number): number
  bpfDelete(fd: number, keys: Buffer, keyBytes: number, count: number): number
  bpfDeleteMatching(
    fd: number,
    keys: Buffer,
    keyBytes: number,
    count: number,
    valueBytes: number,
    heads: Buffer,
    headBytes: number,
  ): number
  bpfScan(fd: number, cursor: Buffer, keys: Buffer, values: Buffer, max: number): number
  bpfProgramInfo(fd: number): ProgramInfo
  bpfProgramOfId(id: number): number
  bpfRun(program: number, frame: Buffer, ifindex: number, repeat: number): ProgramRun
  bpfStructure(path: string, name: string): Structure
}

export interface MapInfo {
  readonly type: number
  readonly id: number
  readonly keyBytes: number
  /** Of one value; a per-CPU map's buffers hold `possibleCpus` of them, each rounded up to 8 bytes. */
  readonly valueBytes: number
  readonly maxEntries: number
  readonly possibleCpus: number
}

export interface ProgramInfo {
  readonly id: number
  /** Counted only while the sysctl kernel.bpf_stats_enabled is 1; so is {@link runCount}. */
  readonly runTimeNs: number
  readonly runCount: number
}

export interface ProgramRun {
  /** What the program returned: −1 unspecified, 2 dropped, 7 redirected. */
  readonly verdict: number
  /** Mean of one run. */
  readonly durationNs: number
}

export interface Structure {
  readonly size: number
  /** Byte offset of each member. */
  readonly offsets: Readonly<Record<string, number>>
}

/** BPF_MAP_TYPE_PERCPU_ARRAY */
const perCpuArray = 6
/** More than any bucket of a hash map chains together. */
const scanChunk = 4096

const calls = (): BpfCalls => native<BpfCalls>()

/**
 * Loads an eBPF object. @param maps those that are to be taken as they are (fd), or made with another size than the
 * object says (maxEntries). @returns a descriptor, owned by the caller, under the name of each map and program.
 * @throws Error with step, errno and log. Needs CAP_BPF and CAP_NET_ADMIN.
 */
export function loadObject(
  path: string,
  maps: Readonly<Record<string, { readonly fd?: number; readonly maxEntries?: number }>>,
): (name: string) => number {
  const rows = Object.entries(maps).map(([name, map]): [string, number, number] => [
    name,
    map.fd ?? -1,
    map.maxEntries ?? 0,
  ])
  const loaded = calls().bpfLoad(path, rows)
  return (name) => {
    const fd = loaded[name]
    if (fd === undefined) throw new RangeError(`${path} has no map or program ${name}`)
    return fd
  }
}

/** Pins a map, program or link under a path in bpffs. @throws Error with step and errno */
export function pinObject(fd: number, path: string): void {
  calls().bpfPin(fd, path)
}

/** A new descriptor of what is pinned there; undefined when nothing is. @throws Error with step and errno */
export function pinnedObject(path: string): number | undefined {
  const fd = calls().bpfGet(path)
  return fd < 0 ? undefined : fd
}

/** @throws Error with step and errno */
export function programInfo(fd: number): ProgramInfo {
  return calls().bpfProgramInfo(fd)
}

/** A new descriptor of a loaded program; undefined when there is no such id. */
export function programOfId(id: number): number | undefined {
  const fd = calls().bpfProgramOfId(id)
  return fd < 0 ? undefined : fd
}

/** Runs a tc program on a frame (BPF_PROG_TEST_RUN); a redirect is returned, not done. */
export function runProgram(fd: number, frame: Buffer, ifindex: number, repeat = 1): ProgramRun {
  return calls().bpfRun(fd, frame, ifindex, repeat)
}

/** Size and member offsets of a struct in a compiled object's BTF. */
export function objectStructure(path: string, name: string): Structure {
  return calls().bpfStructure(path, name)
}

/** A map by its descriptor, which stays the caller's. Every method @throws Error with step and errno. */
export class BpfMap {
  readonly fd: number
  readonly info: MapInfo
  /** Of the buffers for one value. */
  readonly valueBytes: number
  readonly #one = Buffer.alloc(1)

  constructor(fd: number) {
    this.fd = fd
    this.info = calls().bpfMapInfo(fd)
    this.valueBytes =
      this.info.type === perCpuArray
        ? this.info.possibleCpus * Math.ceil(this.info.valueBytes / 8) * 8
        : this.info.valueBytes
  }

  /** Copies the value of `key` to `value`; false when there is none. */
  get(key: Buffer, value: Buffer): boolean {
    return this.getMany(key, value, this.#one, 1) === 1
  }

  /** Copies `count` values; `found` has a 1 for each that is there. @returns how many are */
  getMany(keys: Buffer, values: Buffer, found: Buffer, count: number): number {
    this.#check(keys, values, count)
    if (found.length < count) throw new RangeError('the buffer for what was found is too short')
    return calls().bpfLookup(this.fd, keys, this.info.keyBytes, values, this.valueBytes, found, count)
  }

  /** Writes `count` entries that stand side by side: one call. @returns how many went in before the map was full */
  set(keys: Buffer, values: Buffer, count = 1): number {
    this.#check(keys, values, count)
    return calls().bpfUpdate(this.fd, keys, values, count)
  }

  /** @returns how many of the keys were there */
  delete(keys: Buffer, count = 1): number {
    this.#check(keys, undefined, count)
    return calls().bpfDelete(this.fd, keys, this.info.keyBytes, count)
  }

  /**
   * Removes those whose value begins with the `headBytes` bytes that stand for it in `heads`. @returns how many those were
   */
  deleteMatching(keys: Buffer, heads: Buffer, headBytes: number, count: number): number {
    this.#check(keys, undefined, count)
    if (heads.length < count * headBytes) throw new RangeError('the buffer of heads is too short')
    const { keyBytes, valueBytes } = this.info
    return calls().bpfDeleteMatching(this.fd, keys, keyBytes, count, valueBytes, heads, headBytes)
  }

  /**
   * Every entry, in chunks that stand side by side; the buffers are used again for the next chunk. Entries that come or
   * go meanwhile may be met or not.
   */
  *chunks(): Generator<{ readonly keys: Buffer; readonly values: Buffer; readonly count: number }> {
    const keys = Buffer.allocUnsafe(scanChunk * this.info.keyBytes)
    const values = Buffer.allocUnsafe(scanChunk * this.valueBytes)
    const cursor = Buffer.alloc(16)
    while (cursor[9] === 0) {
      const count = calls().bpfScan(this.fd, cursor, keys, values, scanChunk)
      if (count > 0) yield { keys, values, count }
    }
  }

  #check(keys: Buffer, values: Buffer | undefined, count: number): void {
    if (keys.length < count * this.info.keyBytes) throw new RangeError('the key buffer is too short')
    if (values && values.length < count * this.valueBytes)
      throw new RangeError('the value buffer is too short')
  }
}
