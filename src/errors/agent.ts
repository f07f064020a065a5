import { defineErrors } from './define.js'

/** Codes of src/relay and src/backend-agent. */
export const agentErrors = defineErrors({
  BATON_RELAY_CONNECT: {
    side: 'backend',
    retryable: true,
    httpStatus: 502,
    summary: 'The application did not accept a connection.',
    action: 'Check that the application listens on the address in the configuration.',
  },
  BATON_RELAY_CONNECT_TIMEOUT: {
    side: 'backend',
    retryable: true,
    httpStatus: 504,
    summary: 'The application did not accept a connection in time.',
    action: 'Check the route and the load of that host, or raise connectTimeoutMs.',
  },
  BATON_RELAY_TIMEOUT: {
    side: 'backend',
    retryable: false,
    httpStatus: 504,
    summary: 'The application did not answer in time.',
    action: 'Look at what the application does with this request, or raise responseTimeoutMs.',
  },
  BATON_RELAY_UPSTREAM: {
    side: 'backend',
    retryable: false,
    httpStatus: 502,
    summary: 'The application broke off, or answered with something that is not HTTP.',
    action: "Look at the application's own log.",
  },
  BATON_RELAY_BUSY: {
    side: 'backend',
    retryable: true,
    httpStatus: 503,
    summary: 'Too many requests wait for a connection to the application.',
    action: 'Add backends, or raise maxConnections and maxWaiting.',
  },
  BATON_RELAY_NO_TARGET: {
    side: 'operator',
    retryable: false,
    httpStatus: 503,
    summary: 'There is no address to which this request could be relayed.',
    action: 'Give the backends of the pool an address.',
  },
  BATON_RELAY_UNSUPPORTED: {
    side: 'client',
    retryable: false,
    httpStatus: 501,
    summary: 'This kind of request is not relayed.',
    action: 'CONNECT and OPTIONS * are meant for forward proxies: send them to the application itself.',
  },
  BATON_RELAY_BAD_REQUEST: {
    side: 'client',
    retryable: false,
    httpStatus: 400,
    summary: 'The request cannot be passed on as it is.',
    action: 'The client must send a valid target and header fields (RFC 9112).',
  },
  BATON_RELAY_CLIENT_GONE: {
    side: 'client',
    retryable: false,
    summary: 'The client went away before the answer was complete.',
    action: 'Nothing to do.',
  },
})
