import { existsSync, statfsSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { loadObject } from '../../kernel/bpf.js'
import { closeFd } from '../../kernel/host.js'
import { packageRoot } from '../../kernel/native.js'
import { Area, type Finding, reason } from './finding.js'
import { readProc } from './read.js'
import { tryRepair } from './repair-trial.js'

/** Major and minor: bpf_redirect_neigh with a next hop of its own. The same as in deploy/setup.sh. */
export const minimumKernel = '5.10'
/** From here on programs hang at TCX links; before, at clsact. */
const tcxKernel = '6.6'
/** BPF_FS_MAGIC, <linux/magic.h> */
const bpffsMagic = 0xcafe4a11

/** Capabilities by number (<linux/capability.h>) and what each is for. */
const capabilities = [
  { bit: 12, name: 'CAP_NET_ADMIN', purpose: 'TCP_REPAIR, tc, addresses' },
  { bit: 39, name: 'CAP_BPF', purpose: 'the steering program and its maps' },
] as const

/** What every role needs of the kernel. */
export async function checkKernel(needs: { readonly steering: boolean }): Promise<Finding[]> {
  const area = new Area('kernel')
  checkVersion(area)
  checkCapabilities(area, needs.steering)
  const repair = await tryRepair()
  area.add(
    repair.ok ? 'ok' : 'fail',
    'TCP_REPAIR',
    repair.ok ? 'a loopback connection was frozen, thawed and went on' : repair.why,
    'Run as root or with CAP_NET_ADMIN; in a container add that capability.',
  )
  if (needs.steering) {
    checkPrograms(area)
    checkBpffs(area)
    checkTap(area)
  }
  checkDescriptors(area)
  return area.findings
}

function checkVersion(area: Area): void {
  const version = release()
  if (!atLeast(version, minimumKernel)) {
    area.fail('version', version, `Use Linux ${minimumKernel} or newer.`)
  } else if (!atLeast(version, tcxKernel)) {
    area.ok('version', `${version}; steering hangs at clsact (TCX begins with ${tcxKernel})`)
  } else area.ok('version', version)
}

/** Compares major and minor number of `uname -r`. */
export function atLeast(version: string, minimum: string): boolean {
  const numbers = (text: string) => text.split('.').map((part) => Number.parseInt(part, 10))
  const [major = 0, minor = 0] = numbers(version)
  const [leastMajor = 0, leastMinor = 0] = numbers(minimum)
  return major > leastMajor || (major === leastMajor && minor >= leastMinor)
}

function checkCapabilities(area: Area, steering: boolean): void {
  const hex = /^CapEff:\s*([0-9a-f]+)/m.exec(readProc('/proc/self/status') ?? '')?.[1] ?? '0'
  const effective = BigInt(`0x${hex}`)
  for (const { bit, name, purpose } of capabilities) {
    if (name === 'CAP_BPF' && !steering) continue
    const has = ((effective >> BigInt(bit)) & 1n) === 1n
    area.add(
      has ? 'ok' : 'fail',
      name,
      has ? `held (${purpose})` : `missing (${purpose})`,
      `Run as root, or give the service ${name} (systemd: AmbientCapabilities=${name}).`,
    )
  }
}

/** Loads the steering program as a frontend would, small, and lets it go. */
function checkPrograms(area: Area): void {
  try {
    const descriptor = loadObject(join(packageRoot, 'dist/bpf/steering.bpf.o'), {
      flows: { maxEntries: 1024 },
    })
    for (const name of ['flows', 'settings', 'totals', 'steer', 'playback']) closeFd(descriptor(name))
    area.ok('eBPF', 'the kernel takes the steering program')
  } catch (error) {
    const fix =
      'Needs CONFIG_BPF_SYSCALL, CAP_BPF and CAP_NET_ADMIN; where lockdown forbids eBPF, say handoff: never.'
    area.fail('eBPF', reason(error), fix)
  }
}

function checkBpffs(area: Area): void {
  const path = '/sys/fs/bpf'
  const mounted = existsSync(path) && statfsSync(path).type === bpffsMagic
  area.add(
    mounted ? 'ok' : 'fail',
    'bpffs',
    mounted ? `mounted on ${path}` : `not mounted on ${path}; steering could not outlive the process`,
    `mount -t bpf bpf ${path} (and a line in /etc/fstab: bpf ${path} bpf defaults 0 0)`,
  )
}

function checkTap(area: Area): void {
  const there = existsSync('/dev/net/tun')
  area.add(
    there ? 'ok' : 'fail',
    'TAP',
    there ? '/dev/net/tun is there' : 'there is no /dev/net/tun to park the packets of a frozen connection',
    'modprobe tun; in a container pass the device in.',
  )
}

/** Node raises its soft limit to the hard one, so the hard one counts. */
function checkDescriptors(area: Area): void {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readProc('/proc/self/limits') ?? '')?.[1] ?? '0'
  const enough = hard === 'unlimited' || Number(hard) >= 65_536
  const fix = 'Raise the limit where the service starts (systemd: LimitNOFILE=1048576).'
  area.add(enough ? 'ok' : 'warn', 'open files', `at most ${hard}, one for each connection`, fix)
}
