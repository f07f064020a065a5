import type { DemoHosts } from './hosts.js'
import { Scene } from './scene.js'
import type { Step } from './step.js'
import { adopt } from './steps/adopt.js'
import { agentStopped } from './steps/agent-stopped.js'
import { chat } from './steps/chat.js'
import { crowd } from './steps/crowd.js'
import { download } from './steps/download.js'
import { frontendKilled } from './steps/frontend-killed.js'
import { https } from './steps/https.js'
import { ipv6 } from './steps/ipv6.js'
import { nothingLost } from './steps/nothing-lost.js'
import { routes } from './steps/routes.js'
import { twoPools } from './steps/two-pools.js'
import { upload } from './steps/upload.js'
import { vipMoves } from './steps/vip-moves.js'

/** In order; each leaves the hosts as the next one needs them, and the last one looks back on all. */
const steps = [
  download,
  routes,
  twoPools,
  upload,
  ipv6,
  https,
  adopt,
  crowd,
  frontendKilled,
  chat,
  vipMoves,
  agentStopped,
  nothingLost,
]

export function tour(hosts: DemoHosts): Step[] {
  const scene = new Scene(hosts)
  return steps.map((step) => step(scene))
}
