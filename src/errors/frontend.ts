import { defineErrors } from './define.js'

/** Codes of src/frontend. */
export const frontendErrors = defineErrors({})
