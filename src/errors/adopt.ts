import { defineErrors } from './define.js'

/** Codes of the agent's deliver kind `adopt`. */
export const adoptErrors = defineErrors({
  BATON_ADOPT_UNAVAILABLE: {
    side: 'operator',
    retryable: false,
    summary: "This host cannot put connections into a program's own accept queue.",
    action:
      'It takes Linux 6.8 or newer with BTF, cgroup v2, net.ipv4.tcp_syncookies other than 0, CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; see baton doctor, or set deliver.fallback.',
  },
  BATON_ADOPT_BUSY: {
    side: 'operator',
    retryable: true,
    summary: 'Another process adopts connections under this id on this host.',
    action: 'Stop the other agent, or give each its own id.',
  },
  BATON_ADOPT_UNFIT: {
    side: 'agent',
    retryable: true,
    summary: 'This connection cannot be adopted as it stands.',
    action: 'Nothing to do: it is relayed. With deliver.fallback the agent serves such connections itself.',
  },
  BATON_ADOPT_NO_LISTENER: {
    side: 'backend',
    retryable: true,
    summary: 'No program listens where connections are to be adopted.',
    action: 'Start the application, or set deliver.address to where it listens (not with MPTCP).',
  },
  BATON_ADOPT_QUEUE_FULL: {
    side: 'backend',
    retryable: true,
    summary: 'The application did not take the connection: its accept queue is full.',
    action:
      'Raise its listen backlog and net.core.somaxconn, or add backends. If it is idle, see whether a firewall drops what comes in by the device baton-ad….',
  },
  BATON_ADOPT_REFUSED: {
    side: 'agent',
    retryable: true,
    summary: 'The kernel would not adopt the connection.',
    action:
      'Look at the detail: EINVAL where tcp_window_scaling, tcp_sack or tcp_timestamps is off here; a lost segment where a firewall drops what comes in by the adopting device.',
  },
})
