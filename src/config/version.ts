import { readFileSync } from 'node:fs'

function read(): string {
  // From dist/src/config up to the package's root.
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  )
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
    return String(manifest.version)
  throw new TypeError('package.json has no version')
}

/** Of this package. */
export const version: string = read()
