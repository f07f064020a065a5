import { defineErrors } from './define.js'

/** Codes of src/frontend. */
export const frontendErrors = defineErrors({
  BATON_NO_ROUTE: {
    side: 'client',
    retryable: false,
    summary: 'No route matches the request.',
    action: 'Add a route for this host and path, or a last route with an empty match.',
    httpStatus: 404,
  },
  BATON_NO_TLS_ROUTE: {
    side: 'client',
    retryable: false,
    summary: 'No route matches the server name and the protocols of the ClientHello.',
    action:
      'Add a route with this sni, or a last route with sni: "*"; the client gets the alert unrecognized_name.',
  },
  BATON_NO_BACKEND: {
    side: 'backend',
    retryable: true,
    summary: 'No backend of the pool can take the request.',
    action: 'See baton status: is an agent connected, or does a backend have an address to relay to?',
    httpStatus: 503,
  },
  BATON_FRONTEND_STATE: {
    side: 'operator',
    retryable: false,
    summary: 'A frontend is started once, and not again after it was closed.',
    action: 'Make a new one with createFrontend().',
  },
  BATON_ACCESS_LOG: {
    side: 'operator',
    retryable: false,
    summary: 'The access log cannot be opened.',
    action: 'Make its folder, writable by this program; or set log.accessLog to another path, - or off.',
  },
  BATON_CONNECTION_LOST: {
    side: 'agent',
    retryable: false,
    summary: 'The agent that may own the connection is gone, and so the connection was reset.',
    action: 'Look at the log of the agent; raise handoff.unknownTimeoutMs if it restarts slowly.',
  },
  BATON_RETURN_NOT_PARKED: {
    side: 'agent',
    retryable: true,
    summary: 'An agent gave a connection back whose flow was not parked for it.',
    action: 'Nothing: the agent goes on with the connection and relays the request.',
  },
  BATON_RETURN_FAILED: {
    side: 'frontend',
    retryable: true,
    summary: 'A connection that an agent gave back could not be restored.',
    action: 'See the cause in the log of the frontend; the agent goes on with the connection.',
  },
})
