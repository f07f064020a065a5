export { type AnswerOptions, type AnswerStatus, answer, rawAnswer } from './answers.js'
export { type RelayOptions, relayDefaults } from './options.js'
export { Relay, type RelayRequestOptions, type RelayResult } from './relay.js'
export { type TunnelEnd, tunnel } from './tunnel.js'
