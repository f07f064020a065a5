import { defineErrors } from './define.js'

/** Codes of src/kernel. */
export const kernelErrors = defineErrors({
  BATON_KERNEL_ADDON: {
    side: 'operator',
    retryable: false,
    summary: 'The native addon is missing or does not fit this Node.',
    action: 'Run npx baton build on this machine (npm run build in a checkout).',
  },
  BATON_LISTEN: {
    side: 'operator',
    retryable: true,
    summary: 'An address of the configuration cannot be listened on.',
    action:
      'See who has it (ss -ltnp) and that it is an address of this host (ip address); ports below 1024 need CAP_NET_BIND_SERVICE.',
  },
})
