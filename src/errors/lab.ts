import { defineErrors } from './define.js'

/** Codes of src/lab. */
export const labErrors = defineErrors({
  BATON_LAB_NAME: {
    side: 'operator',
    retryable: false,
    summary: 'The name of a lab, a host or an interface cannot be used.',
    action:
      'Choose a prefix of bt and lower-case letters, and names of lower-case letters and digits that are not taken yet.',
  },
  BATON_LAB_COMMAND: {
    side: 'operator',
    retryable: false,
    summary: 'A command that the lab needs failed.',
    action:
      'Read its output; the lab needs root, iproute2, nftables and util-linux (bash deploy/setup.sh installs them).',
  },
  BATON_LAB_EXITED: {
    side: 'operator',
    retryable: false,
    summary: 'A program in the lab ended while it was waited for.',
    action: 'Read the end of its output in this message.',
  },
  BATON_LAB_TIMEOUT: {
    side: 'operator',
    retryable: true,
    summary: 'A program in the lab did not become ready in time.',
    action: 'Read the end of its output in this message; on a slow machine wait longer.',
  },
  BATON_LAB_DISPOSED: {
    side: 'operator',
    retryable: false,
    summary: 'The lab is gone already.',
    action: 'Use the lab before its dispose().',
  },
})
