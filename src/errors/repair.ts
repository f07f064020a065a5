import { defineErrors } from './define.js'

/** Codes of src/repair. */
export const repairErrors = defineErrors({})
