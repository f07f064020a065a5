export { BatonError, type ErrorCode, errorRegistry, isBatonError } from './errors/index.js'
