import { defineErrors } from './define.js'

/** Codes of src/backend-agent. */
export const agentErrors = defineErrors({})
