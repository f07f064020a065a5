import { defineErrors } from './define.js'

/** Codes of src/routing. */
export const routingErrors = defineErrors({
  BATON_ROUTES_INVALID: {
    side: 'frontend',
    retryable: false,
    summary: 'A routes document that came over the wire or from the registry does not follow its form.',
    action: 'Run the same version of Baton on frontends and agents; the detail names the place.',
  },
})
