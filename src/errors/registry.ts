import { defineErrors } from './define.js'

/** Codes of src/registry. */
export const registryErrors = defineErrors({
  BATON_REGISTRY_CLOSED: {
    side: 'frontend',
    retryable: false,
    summary: 'The registry was used after it was closed.',
    action: 'Report it: nothing should ask a registry that is gone.',
  },
  BATON_REGISTRY_UNAVAILABLE: {
    side: 'operator',
    retryable: true,
    summary: 'Redis did not answer, so the flow could not be looked up.',
    action: 'Look at the Redis server and at registry.url; everything known goes on meanwhile.',
  },
})
