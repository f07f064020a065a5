import {
  type Checked,
  checkAgentText,
  checkFrontendText,
  formatProblem,
  type ParseOptions,
} from '../../src/config/index.js'

export const frontendYaml = `
listeners:
  - { name: web, address: "10.0.0.100:80", protocol: http }
  - { name: web6, address: "[fd00::100]:80" }
routes:
  - { match: { host: "*.video.example", path: { prefix: /v/ } }, pool: media }
  - { match: {}, pool: web }
pools:
  media: { backends: [ { id: media-1, agent: "10.0.0.11:7400", address: "10.0.0.11:8080" } ] }
  web:   { handoff: never, backends: [ { id: web-1, address: "10.0.0.21:8080" } ] }
steering: { interface: eth0 }
control: { tokenFile: token }
`.trimStart()

export const agentYaml = `
id: media-1
pools: [media]
control: { address: "10.0.0.11:7400", tokenFile: token }
vips: ["10.0.0.100", "fd00::100"]
deliver: { kind: http, address: "127.0.0.1:8080" }
`.trimStart()

const options: ParseOptions = { file: 'f', folder: '/etc/baton', checkFiles: false, environment: {} }

const messages = (checked: Checked<unknown>) => checked.problems.map(formatProblem)

/** Every mistake of a frontend.yaml as `f:line:column path: message`. */
export const frontendProblems = (text: string, more: ParseOptions = {}): string[] =>
  messages(checkFrontendText(text, { ...options, ...more }))

export const agentProblems = (text: string, more: ParseOptions = {}): string[] =>
  messages(checkAgentText(text, { ...options, ...more }))

/** The text with one piece changed; the piece must be there. */
export function change(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`no ${from} in the text`)
  return text.replace(from, to)
}
