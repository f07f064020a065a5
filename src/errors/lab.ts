import { defineErrors } from './define.js'

/** Codes of src/lab. */
export const labErrors = defineErrors({})
