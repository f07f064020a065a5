import { defineErrors } from './define.js'

/** Codes of src/kernel. */
export const kernelErrors = defineErrors({
  BATON_KERNEL_ADDON: {
    side: 'operator',
    retryable: false,
    summary: 'The native addon is missing or does not fit this Node.',
    action: 'Run npm run build on this machine.',
  },
})
