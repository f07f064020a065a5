import { defineErrors } from './define.js'

/** Codes of src/config. */
export const configErrors = defineErrors({
  BATON_CONFIG_UNREADABLE: {
    side: 'operator',
    retryable: false,
    summary: 'The configuration file cannot be read.',
    action: 'Give a path to a YAML file of at most 1 MiB that this user may read.',
  },
  BATON_CONFIG_INVALID: {
    side: 'operator',
    retryable: false,
    summary: 'The configuration has mistakes.',
    action:
      'Correct the lines that the message names; baton check FILE shows them without starting anything.',
  },
  BATON_CONFIG_SECRET: {
    side: 'operator',
    retryable: false,
    summary: 'A token, key or certificate file cannot be used.',
    action: 'Make the file, readable by this program, with the content that the message asks for.',
  },
})
