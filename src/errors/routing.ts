import { defineErrors } from './define.js'

/** Codes of src/routing. */
export const routingErrors = defineErrors({})
