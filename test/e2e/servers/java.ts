import { program, type Server } from './server.js'

/** The JDK's own com.sun.net.httpserver, from source. */
export const java: Server = {
  name: 'java',
  debianPackage: 'default-jdk-headless',
  needs: ['java', 'javac'],
  hasOrigin: false,
  backlog: 50,
  prepare: ({ root, port }) => [
    'java',
    ...['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx128m'],
    program('WebServer.java'),
    String(port),
    root,
  ],
}
