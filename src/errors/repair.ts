import { defineErrors } from './define.js'

/** Codes of src/repair. A failed freeze leaves the connection live; a failed restore leaves no socket and sent nothing. */
export const repairErrors = defineErrors({
  BATON_FREEZE_LISTENING: {
    side: 'frontend',
    retryable: false,
    summary: 'A listening socket cannot be moved.',
    action: 'Freeze connections that were accepted from it.',
  },
  BATON_FREEZE_HALF_CLOSED: {
    side: 'client',
    retryable: false,
    summary: 'The client has ended its direction of the connection already.',
    action: 'Relay the connection instead.',
  },
  BATON_FREEZE_STATE: {
    side: 'client',
    retryable: false,
    summary: 'The connection is not established, or is over.',
    action: 'Close it; there is nothing to move.',
  },
  BATON_FREEZE_MPTCP: {
    side: 'operator',
    retryable: false,
    summary: 'A multipath TCP connection cannot be moved.',
    action: 'Relay it, and listen without MPTCP.',
  },
  BATON_FREEZE_NOT_TCP: {
    side: 'frontend',
    retryable: false,
    summary: 'The descriptor is not a TCP socket.',
    action: 'Report this: a descriptor was closed or reused.',
  },
  BATON_FREEZE_URGENT: {
    side: 'client',
    retryable: false,
    summary: 'The client has sent urgent data, which does not survive a move.',
    action: 'Relay the connection instead.',
  },
  BATON_FREEZE_QUEUE: {
    side: 'frontend',
    retryable: false,
    summary: 'The kernel gave another number of queued bytes than it announced.',
    action: 'Relay the connection instead.',
  },
  BATON_FREEZE_MOVING: {
    side: 'frontend',
    retryable: true,
    summary: 'Segments went on arriving through the lock.',
    action: 'Try again, or relay the connection.',
  },
  BATON_FREEZE_FAILED: {
    side: 'frontend',
    retryable: false,
    summary: 'The kernel refused to freeze the connection.',
    action: 'Relay it, and look at the step and errno.',
  },
  BATON_REPAIR_PRIVILEGE: {
    side: 'operator',
    retryable: false,
    summary: 'The process may not use TCP_REPAIR.',
    action: 'Give it CAP_NET_ADMIN in the user namespace that owns its network namespace.',
  },
  BATON_THAW_FAILED: {
    side: 'frontend',
    retryable: false,
    summary: 'A frozen connection could not be made live again.',
    action: 'Discard it, and look at the step and errno.',
  },
  BATON_DISCARD_FAILED: {
    side: 'frontend',
    retryable: false,
    summary: 'A frozen connection could not be closed silently.',
    action: 'Report this: a descriptor was closed or reused.',
  },
  BATON_RESTORE_SNAPSHOT: {
    side: 'frontend',
    retryable: false,
    summary: 'The snapshot contradicts itself.',
    action: 'Report this, with the versions of both sides.',
  },
  BATON_RESTORE_VIP: {
    side: 'operator',
    retryable: true,
    summary: 'The address that the client talks to is not an address of this host.',
    action: 'Add the VIP to the lo interface of the backend; baton doctor says how.',
  },
  BATON_RESTORE_TAKEN: {
    side: 'agent',
    retryable: true,
    summary: 'This host has a socket with the same addresses and ports already.',
    action: 'Offer the connection to another backend.',
  },
  BATON_RESTORE_ROUTE: {
    side: 'operator',
    retryable: true,
    summary: 'This host has no route to the client.',
    action: 'Give the backend a route to its clients.',
  },
  BATON_RESTORE_DESCRIPTORS: {
    side: 'agent',
    retryable: true,
    summary: 'The process, or the system, has no file descriptors left.',
    action: 'Raise LimitNOFILE.',
  },
  BATON_RESTORE_CONGESTION: {
    side: 'operator',
    retryable: true,
    summary: 'This kernel does not offer the congestion control of the connection.',
    action: 'Load its module (tcp_<name>) on the backend, or use the same one everywhere.',
  },
  BATON_RESTORE_BUFFERS: {
    side: 'agent',
    retryable: true,
    summary: 'The queues of the connection do not fit the buffers of this host.',
    action:
      'Raise net.core.rmem_max and wmem_max, or give the process CAP_NET_ADMIN in the first user namespace.',
  },
  BATON_RESTORE_FAILED: {
    side: 'agent',
    retryable: true,
    summary: 'The kernel refused to restore the connection.',
    action: 'Look at the step and errno.',
  },
})
