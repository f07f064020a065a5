import { defineErrors } from './define.js'

/** Codes of src/registry. */
export const registryErrors = defineErrors({})
