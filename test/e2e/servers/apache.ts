import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Place, Server } from './server.js'

const modules = '/usr/lib/apache2/modules'

/** httpd with the event MPM: threads that accept, and one that keeps idle connections; CGI answers what files cannot. */
export const apache: Server = {
  name: 'apache',
  debianPackage: 'apache2-bin',
  needs: ['apache2', `${modules}/mod_mpm_event.so`],
  hasOrigin: false,
  backlog: 511,
  prepare({ folder, root, port }: Place) {
    const script = (name: string, lines: string) => {
      const file = join(folder, name)
      writeFileSync(file, `#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n${lines}\n`, { mode: 0o755 })
      return file
    }
    const loads = ['mpm_event', 'authz_core', 'alias', 'cgid'].map(
      (name) => `LoadModule ${name}_module ${join(modules, `mod_${name}.so`)}`,
    )
    const conf = join(folder, 'httpd.conf')
    writeFileSync(
      conf,
      `${loads.join('\n')}
ServerName localhost
ServerRoot ${folder}
PidFile ${folder}/httpd.pid
Mutex file:${folder} default
ScriptSock ${folder}/cgid.sock
ErrorLog ${folder}/error.log
LogFormat "%a %P %>s" short
CustomLog ${folder}/access.log short
User www-data
Group www-data
Listen ${port}
StartServers 2
ThreadsPerChild 16
MaxKeepAliveRequests 0
DocumentRoot ${root}
<Directory />
  Require all granted
</Directory>
ScriptAlias /who ${script('who', 'echo "$REMOTE_ADDR"')}
ScriptAlias /digest ${script('digest', 'sha256sum')}
`,
    )
    return ['apache2', '-f', conf, '-DFOREGROUND']
  },
}
