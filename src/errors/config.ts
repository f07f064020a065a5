import { defineErrors } from './define.js'

/** Codes of src/config. */
export const configErrors = defineErrors({})
