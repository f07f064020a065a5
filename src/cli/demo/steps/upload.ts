import { createHash, randomBytes } from 'node:crypto'
import { MIB, type Scene, VIDEO } from '../scene.js'
import { expect, type Step } from '../step.js'

const UPLOAD_BYTES = 8 * MIB

/** A handoff in the middle of a body that the client is still sending. */
export function upload(scene: Scene): Step {
  const { hosts, client } = scene
  return {
    name: 'upload',
    title: `an upload of ${UPLOAD_BYTES / MIB} MiB is caught in mid-body by the handoff`,
    async run() {
      const body = randomBytes(UPLOAD_BYTES)
      const file = hosts.write('upload', body)
      const text = await client.curl(`${VIDEO}/upload`, ['-H', 'Expect:', '--data-binary', `@${file}`])
      const answer: unknown = JSON.parse(text)
      const sha256 = createHash('sha256').update(body).digest('hex')
      const right =
        typeof answer === 'object' && answer !== null && 'sha256' in answer && answer.sha256 === sha256
      expect(right, 'the application got every byte once', answer)
      return { bytes: UPLOAD_BYTES, sha256 }
    },
  }
}
