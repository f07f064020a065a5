import { statSync, unlinkSync } from 'node:fs'
import { FileJournal } from '../handoff/index.js'
import type { Logger } from '../telemetry/index.js'

/** On a tmpfs: what is noted there outlives a process and not the host, as the connections do. */
const DEFAULT_FOLDER = '/run/baton'

/**
 * Opens the journal by which a successor of this process answers for it after a kill -9. Without one (no /run, no
 * rights) frontends must count the connections that were under way just then as lost; the agent works all the same.
 */
export function openJournal(
  id: string,
  epoch: number,
  logger: Logger,
): { readonly journal: FileJournal; close(): void } | undefined {
  try {
    // Hosts that are namespaces of one machine share /run: the namespace's number tells them apart.
    const host = statSync('/proc/thread-self/ns/net').ino
    // systemd's RuntimeDirectory=, where the agent is a unit (systemd.exec(5)).
    const folder = process.env.RUNTIME_DIRECTORY ?? DEFAULT_FOLDER
    const path = `${folder}/agent-${id}-${host}.journal`
    const journal = new FileJournal({ path, epoch })
    return {
      journal,
      /** After a drain nobody will ask. */
      close() {
        journal.close()
        unlinkSync(path)
      },
    }
  } catch (error) {
    logger.warn({ err: error }, 'no journal: after a crash, offers under way count as lost')
    return undefined
  }
}
