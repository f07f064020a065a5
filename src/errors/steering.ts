import { defineErrors } from './define.js'

/** Codes of src/steering. */
export const steeringErrors = defineErrors({
  BATON_STEERING_BPFFS: {
    side: 'operator',
    retryable: false,
    summary: 'There is no BPF file system to pin the flow table in.',
    action:
      'Set steering.pinPath to a directory below /sys/fs/bpf and run as root with CAP_BPF and CAP_SYS_ADMIN.',
  },
  BATON_STEERING_DENIED: {
    side: 'operator',
    retryable: false,
    summary: 'This process may not set up the flow table.',
    action:
      'Run it as root, or with CAP_NET_ADMIN, CAP_BPF and CAP_SYS_ADMIN as deploy/systemd/baton-frontend.service does.',
  },
  BATON_STEERING_BUSY: {
    side: 'operator',
    retryable: true,
    summary: 'Another process holds this flow table.',
    action: 'Stop the other frontend, or give each its own interface and steering.pinPath.',
  },
  BATON_STEERING_INTERFACE: {
    side: 'operator',
    retryable: false,
    summary: 'The interface to steer at does not exist.',
    action: 'Set steering.interface to the interface on which packets for the VIP arrive (see ip link).',
  },
  BATON_STEERING_LAYOUT: {
    side: 'operator',
    retryable: false,
    summary: 'The pinned flow table was made by another version and still holds flows.',
    action: 'Drain the flows with the version that made them, or remove the pin directory and lose them.',
  },
  BATON_STEERING_LOAD: {
    side: 'operator',
    retryable: false,
    summary: 'The kernel did not accept the steering program.',
    action: 'Run as root (CAP_BPF, CAP_NET_ADMIN) on Linux 6.1 or newer, and see the detail for the reason.',
  },
  BATON_STEERING_ATTACH: {
    side: 'operator',
    retryable: false,
    summary: 'The steering program could not be attached to the interface.',
    action: 'Use attach auto; TCX needs Linux 6.6, clsact needs the sch_ingress and cls_bpf modules.',
  },
  BATON_STEERING_TAP: {
    side: 'operator',
    retryable: false,
    summary: 'The TAP device for parked packets could not be made.',
    action: 'Load the tun module, see that /dev/net/tun is there, and run with CAP_NET_ADMIN.',
  },
  BATON_STEERING_TABLE: {
    side: 'frontend',
    retryable: true,
    summary: 'A change of the flow table failed.',
    action: 'See errno; ENOMEM means that the host is out of memory.',
  },
  BATON_STEERING_FULL: {
    side: 'frontend',
    retryable: true,
    summary: 'The flow table is full.',
    action: 'Relay instead, and raise steering.maxFlows before the next start.',
  },
  BATON_STEERING_NEXT_HOP: {
    side: 'operator',
    retryable: false,
    summary: 'The next hop does not fit the flow.',
    action:
      'Give the backend an IP address on the interface; an IPv6 flow needs an IPv6 one, link-local will do.',
  },
  BATON_STEERING_CLOSED: {
    side: 'frontend',
    retryable: false,
    summary: 'The flow table is closed.',
    action: 'Open it again; this process let go of it.',
  },
})
