import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { BatonError } from '../errors/index.js'
import { createTcxLink } from '../kernel/attach.js'
import { closeFd } from '../kernel/host.js'
import { Tap } from '../kernel/tap.js'
import { type Progress, takenOf } from './adopt-programs.js'

/** The IPv4 dummy address (RFC 7600), for hosts with none. */
const DUMMY_ADDRESS = '192.0.0.8/32'

/** The device that segments are played into; it is gone with its process. */
export interface AdoptDevice {
  /** Plays frames in; they have been received when it returns. @returns how many the kernel took */
  play(frames: readonly Buffer[]): number
  /** Plays one frame in, and asks what of it its flow's socket has taken then; undefined where there is no such socket. */
  playFirst(frame: Buffer, length: number, progress: Progress): number | undefined
  close(): void
}

/**
 * @param id of the agent: two agents on one host have a device each
 * @param playback the program that receives the frames
 * @throws BatonError BATON_ADOPT_UNAVAILABLE
 */
export function openAdoptDevice(id: string, playback: number): AdoptDevice {
  let tap: Tap | undefined
  try {
    // A name of at most 15 bytes.
    const mark = createHash('sha256').update(id).digest('hex').slice(0, 7)
    tap = new Tap(`baton-ad${mark}`, { ipv6: true })
    // With an address the loose check of sources lets every client's by, whatever the host's setting for all is
    // (net/ipv4/fib_frontend.c); this one means nothing to anybody.
    execFileSync('ip', ['addr', 'add', DUMMY_ADDRESS, 'dev', tap.name, 'scope', 'host'], { stdio: 'pipe' })
    const link = createTcxLink(playback, tap.ifindex)
    return device(tap, link)
  } catch (cause) {
    tap?.close()
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new BatonError('BATON_ADOPT_UNAVAILABLE', { detail, cause })
  }
}

function device(tap: Tap, link: number): AdoptDevice {
  return {
    play: (frames) => tap.write(frames),
    playFirst: (frame, length, { program, ifindex }) => takenOf(tap.play(frame, length, program, ifindex)),
    close() {
      closeFd(link)
      tap.close()
    },
  }
}
