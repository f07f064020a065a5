// What every agent here needs to be told of its surroundings: by the environment, with the addresses of the lab (lab.js)
// as defaults. In a program of your own these are three lines of settings.

/**
 * @param {string} id of this backend, the same as in frontend.js
 * @param {string} pool that it serves
 */
export function settings(id, pool) {
  const { BATON_ADDRESS = '10.0.0.11', BATON_TOKEN_FILE = '/etc/baton/token' } = process.env
  return {
    id,
    pools: [pool],
    // Where frontends reach this agent: this host's own address.
    control: { address: `${BATON_ADDRESS}:7400`, tokenFile: BATON_TOKEN_FILE },
    // The addresses that clients connect to. The agent puts them on `lo`, where ARP does not show them.
    vips: ['10.0.0.100', 'fd00::100'],
    log: { level: /** @type {const} */ ('warn') },
  }
}

/**
 * Starts an agent or a frontend, and drains it at SIGTERM and SIGINT.
 * @param {{ start(): Promise<void>, close(): Promise<void> }} one
 */
export async function run(one) {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => one.close().then(() => process.exit(0)))
  }
  await one.start()
  console.log('ready')
}
