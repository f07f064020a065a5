import { program, type Server } from './server.js'

export const python: Server = {
  name: 'python',
  debianPackage: 'python3',
  needs: ['python3'],
  hasOrigin: false,
  // socketserver.TCPServer.request_queue_size
  backlog: 5,
  prepare: ({ root, port }) => ['python3', program('server.py'), String(port), root],
}
