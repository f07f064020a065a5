// Writes what is made from the sources: docs/errors.md, the key tables of docs/configuration.md, deploy/schema/*.json.
// Usage: npm run docs
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generatedFiles } from '../dist/src/config/generated.js'
import { errorsPage } from '../dist/src/errors/page.js'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const read = (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8')
const files = { ...generatedFiles(read), 'docs/errors.md': errorsPage() }
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
  process.stdout.write(`docs: ${path}\n`)
}
