import { defineErrors } from './define.js'

/** Codes of src/steering. */
export const steeringErrors = defineErrors({})
