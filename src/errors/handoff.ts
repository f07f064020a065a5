import { defineErrors } from './define.js'

/** Codes of src/handoff. */
export const handoffErrors = defineErrors({})
