import { defineErrors } from './define.js'

/** Codes of src/gate. */
export const gateErrors = defineErrors({})
