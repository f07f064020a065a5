import { apache } from './apache.js'
import { go } from './go.js'
import { haproxy } from './haproxy.js'
import { java } from './java.js'
import { nginx } from './nginx.js'
import { node } from './node.js'
import { python } from './python.js'
import type { Server } from './server.js'

export const servers: readonly Server[] = [nginx, apache, haproxy, python, java, node, go]
