import type { Way } from '../latency/ways.js'
import type { Field } from '../peers/field.js'
import { objectPath, type PeerName } from '../peers/peer.js'

/** An address of the backend that the router sends to another host first. */
const ADDRESS = '10.0.0.77'

/**
 * The direct way, but past a host whose kernel forwards each packet of the client's, as Baton's frontend steers them:
 * what is left of the direct way's rate when the same two cores have that to do too. The answers go straight back.
 * @param through whose host that is; its proxy sleeps meanwhile
 */
export function forwardedWay(field: Field, through: PeerName, bytes: number): Way {
  const host = field.peer(through).host
  const direct = field.peer('direct')
  const [backend, target] = [direct.backends[0], direct.targets[0]]
  if (host === undefined || backend === undefined || target === undefined)
    throw new Error(`the field has no ${through} or no backend`)
  const { router } = field.net
  backend.ip([`addr add ${ADDRESS}/32 dev lo`])
  const silent = { 'net.ipv4.conf.all.send_redirects': 0, 'net.ipv4.conf.all.rp_filter': 0 }
  host.setSysctls({
    'net.ipv4.ip_forward': 1,
    ...silent,
    'net.ipv4.conf.eth0.send_redirects': 0,
    'net.ipv4.conf.eth0.rp_filter': 0,
  })
  host.ip([`route add ${ADDRESS}/32 via ${backend.ipv4}`])
  router.setSysctls({ ...silent, 'net.ipv4.conf.br0.send_redirects': 0 })
  router.ip([`route add ${ADDRESS}/32 via ${host.ipv4}`])
  const get = { ...target, address: ADDRESS, path: objectPath(bytes) }
  return { name: 'direct-forwarded', title: 'direct, past a host that forwards', application: 'nginx', get }
}
