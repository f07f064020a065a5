export { discard, freeze, thaw } from './freeze.js'
export { provokeReset } from './provoke.js'
export { mayLeaveUnread, type RestoreOptions, restore } from './restore.js'
export type { Snapshot } from './snapshot.js'
