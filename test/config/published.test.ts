import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import Fastify from 'fastify'
import { parse } from 'yaml'
import { generatedFiles } from '../../src/config/generated.js'
import { publishedSchema } from '../../src/config/published.js'
import { agentProblems, agentYaml, change, frontendProblems, frontendYaml } from './support.js'

const root = join(import.meta.dirname, '../../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** Whether Fastify's own validator (Ajv) takes a value. */
async function accepts(kind: 'frontend' | 'agent', text: string): Promise<boolean> {
  const server = Fastify({
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } },
  })
  server.post('/', { schema: { body: publishedSchema(kind) } }, () => 'ok')
  const { statusCode } = await server.inject({ method: 'POST', url: '/', payload: parse(text) })
  await server.close()
  return statusCode === 200
}

describe('what is published of the schemas', () => {
  test('is made from them; npm run docs writes it', () => {
    for (const [path, text] of Object.entries(generatedFiles(read))) assert.equal(read(path), text, path)
  })

  test('the examples of the README pass', () => {
    const examples = [
      ...read('README.md').matchAll(/```yaml\n(# \/etc\/baton\/(frontend|agent)\.yaml[\s\S]*?)```/g),
    ]
    assert.deepEqual(
      examples.map(([, , kind]) => kind),
      ['frontend', 'agent'],
    )
    for (const [, text = '', kind] of examples) {
      assert.deepEqual((kind === 'frontend' ? frontendProblems : agentProblems)(text), [], kind)
    }
  })

  test('JSON Schema takes what Baton takes, and refuses what it can', async () => {
    assert.equal(await accepts('frontend', frontendYaml), true)
    assert.equal(await accepts('agent', agentYaml), true)
    const cases: ['frontend' | 'agent', string, string, string][] = [
      ['frontend', frontendYaml, 'interface: eth0', 'interfaze: eth0'],
      ['frontend', frontendYaml, 'protocol: http', 'protocol: udp'],
      ['frontend', frontendYaml, 'protocol: http', 'protocol: custom'],
      ['frontend', frontendYaml, '{ prefix: /v/ } }', '{ prefix: /v/ }, key: a }'],
      ['frontend', frontendYaml, '"10.0.0.100:80"', '"www.example:80"'],
      ['frontend', frontendYaml, '{ prefix: /v/ }', '{ prefix: v/ }'],
      ['frontend', frontendYaml, '{ prefix: /v/ }', '{}'],
      ['frontend', frontendYaml, '  web: ', '  _web: '],
      ['frontend', frontendYaml, '{ tokenFile: token }', '{}'],
      ['agent', agentYaml, '"fd00::100"', '"fd00::g"'],
      ['agent', agentYaml, 'kind: http, address: "127.0.0.1:8080"', 'kind: inline'],
      ['agent', agentYaml, 'id: media-1\n', ''],
    ]
    for (const [kind, text, from, to] of cases)
      assert.equal(await accepts(kind, change(text, from, to)), false, to)
  })
})
