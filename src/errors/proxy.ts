import { defineErrors } from './define.js'

/** Codes of PROXY protocol headers: each ends its connection without a word. */
export const proxyErrors = defineErrors({
  BATON_PROXY_UNTRUSTED: {
    side: 'client',
    retryable: false,
    summary: 'A connection to a listener with proxyProtocol comes from nobody who may send the header.',
    action: 'Connect by the balancer in front; or, if this is one, add its network to proxyProtocol.from.',
  },
  BATON_PROXY_MISSING: {
    side: 'operator',
    retryable: false,
    summary: 'A connection does not begin with a PROXY protocol header.',
    action: 'Let the balancer in front send it (send-proxy-v2), or take proxyProtocol out of the listener.',
  },
  BATON_PROXY_V1: {
    side: 'operator',
    retryable: false,
    summary: 'A PROXY protocol line is wrong.',
    action: 'See the message: it says where the line leaves version 1 of the protocol.',
  },
  BATON_PROXY_V2: {
    side: 'operator',
    retryable: false,
    summary: 'A PROXY protocol block is wrong.',
    action: 'See the message: it says where the block leaves version 2 of the protocol.',
  },
  BATON_PROXY_CHECKSUM: {
    side: 'operator',
    retryable: false,
    summary: 'The checksum of a PROXY protocol block does not fit it.',
    action: 'Look at what stands between the balancer and here: the block was changed on its way.',
  },
  BATON_PROXY_TOO_LARGE: {
    side: 'operator',
    retryable: false,
    summary: 'A PROXY protocol block is larger than allowed.',
    action: 'Let the balancer send fewer TLVs, or raise limits.headBytes if it is below 4096.',
  },
  BATON_PROXY_TIMEOUT: {
    side: 'operator',
    retryable: false,
    summary: 'A PROXY protocol header was not whole in time.',
    action: 'Let the balancer send it first and at once; limits.headTimeoutMs is how long it is waited for.',
  },
  BATON_PROXY_CUT: {
    side: 'client',
    retryable: false,
    summary: 'A connection was closed in the middle of its PROXY protocol header.',
    action: 'Nothing, unless it is frequent: then look at the balancer in front.',
  },
})
