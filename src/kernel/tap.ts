import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { interfaceIndex } from './attach.js'
import { closeFd, watchReadable } from './host.js'
import { native } from './native.js'

interface TapCalls {
  tapOpen(name: string): number
  tapUp(name: string, queueLength: number): void
  tapRead(fd: number, buffer: Buffer, lengths: Buffer, frameBytes: number): number
  tapWrite(fd: number, frames: readonly Buffer[]): number
  tapPlay(fd: number, frame: Buffer, length: number, program: number, ifindex: number): number
}

/** The longest frame: the kernel cuts larger ones to the interface's segment size before they get here. */
const maxFrameBytes = 65_550
const readBytes = 1 << 20
const readFrames = 1024
/** Frames that wait for the process in the kernel. */
const queueLength = 8192

const calls = (): TapCalls => native<TapCalls>()

const rpsDefault = '/proc/sys/net/core/rps_default_mask'

/**
 * Makes a device that takes its frames on the CPU that writes them, so that they are where they belong when write()
 * returns; receive packet steering would hand them to another. The kernel has a default mask since 6.3.
 */
function withoutRps<T>(make: () => T): T {
  const mask = existsSync(rpsDefault) ? readFileSync(rpsDefault, 'utf8').trim() : '0'
  if (/^[0,]*$/.test(mask)) return make()
  writeFileSync(rpsDefault, '0')
  try {
    return make()
  } finally {
    writeFileSync(rpsDefault, mask)
  }
}

function setIpv6(name: string, setting: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/${setting}`, value)
  } catch (cause) {
    // A kernel without IPv6 has no such file, and nothing to set.
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause
  }
}

/**
 * A TAP of this process, in the network namespace of the thread at its making: no addresses, no ARP. With `ipv6` its
 * frames are taken in as IPv6 too (default: not), and those of any source (rp_filter loose). It is gone when it is closed or the process ends. Its methods @throws Error with step and errno. Needs CAP_NET_ADMIN.
 */
export class Tap {
  readonly ifindex: number
  readonly name: string
  readonly #fd: number
  readonly #buffer = Buffer.allocUnsafeSlow(readBytes)
  readonly #lengths = new Uint32Array(readFrames)
  readonly #lengthBytes = Buffer.from(this.#lengths.buffer)
  #stop: (() => void) | undefined
  #closed = false

  constructor(name: string, options: { readonly ipv6?: boolean } = {}) {
    this.name = name
    this.#fd = withoutRps(() => calls().tapOpen(name))
    try {
      if (options.ipv6 === true) {
        // No address of its own, so that it speaks to nobody.
        setIpv6(name, 'addr_gen_mode', '1')
        setIpv6(name, 'accept_ra', '0')
        setIpv6(name, 'disable_ipv6', '0')
        writeFileSync(`/proc/sys/net/ipv4/conf/${name}/rp_filter`, '2')
      } else setIpv6(name, 'disable_ipv6', '1')
      calls().tapUp(name, queueLength)
      const ifindex = interfaceIndex(name)
      if (ifindex === undefined) throw new Error(`${name} is gone again`)
      this.ifindex = ifindex
    } catch (error) {
      closeFd(this.#fd)
      throw error
    }
  }

  /** Calls back while frames wait. Once. */
  watch(onReadable: () => void): void {
    this.#stop = watchReadable(this.#fd, onReadable)
  }

  /** Stops calling back. Idempotent. */
  unwatch(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  /** Hands every waiting frame to `take`, in order. The frame is only valid during the call. */
  drain(take: (frame: Buffer) => void): void {
    for (;;) {
      const count = calls().tapRead(this.#fd, this.#buffer, this.#lengthBytes, maxFrameBytes)
      let offset = 0
      for (let index = 0; index < count; index++) {
        const end = offset + (this.#lengths[index] ?? 0)
        take(this.#buffer.subarray(offset, end))
        offset = end
      }
      // Fewer than the buffer had room for: the queue was empty.
      if (count < readFrames && offset <= readBytes - maxFrameBytes) return
    }
  }

  /** Lets frames come in at the TAP, in order. @returns how many the kernel took */
  write(frames: readonly Buffer[]): number {
    return calls().tapWrite(this.#fd, frames)
  }

  /** Lets one frame come in, and runs a program on it then, as on a packet of that interface. @returns its verdict */
  play(frame: Buffer, length: number, program: number, ifindex: number): number {
    return calls().tapPlay(this.#fd, frame, length, program, ifindex)
  }

  /** Removes the device. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.unwatch()
    closeFd(this.#fd)
  }
}
