import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot, removeFolder, tempFolder } from './child.ts'
import { NativeServer } from './native-server.ts'
import { freePort } from './wait.ts'

export interface NginxOptions {
  /** Where requests go: `127.0.0.1:8080`; none answers everything by itself with `ok`. */
  readonly upstream?: string
  /** How many requests a connection may have; the last answer says `Connection: close`. @defaultValue 1_000 */
  readonly keepAliveRequests?: number
  /** How long a connection may be idle; nginx closes it then without having said so. @defaultValue '75s' */
  readonly keepAliveTimeout?: string
}

/**
 * nginx, as it stands in front of most services: a master and a worker. `end('SIGQUIT')` drains it: it takes no new
 * connection, closes what is idle, answers what runs, and ends.
 */
export class NginxServer extends NativeServer {
  /** What a change of its configuration does: a new worker takes what comes, the old one drains. */
  reload(): void {
    process.kill(this.pid, 'SIGHUP')
  }
}

export async function startNginx(options: NginxOptions = {}): Promise<NginxServer> {
  const folder = tempFolder('nginx')
  try {
    const port = await freePort()
    const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    const { upstream, keepAliveRequests = 1_000, keepAliveTimeout = '75s' } = options
    const location =
      upstream === undefined
        ? "return 200 'ok';"
        : `proxy_pass http://${upstream}; proxy_http_version 1.1; proxy_set_header Connection '';`
    writeFileSync(
      join(folder, 'nginx.conf'),
      `${isRoot ? 'user root root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
  access_log off;
${temp.map((name) => `  ${name}_temp_path ${folder}/${name};`).join('\n')}
  keepalive_requests ${keepAliveRequests};
  keepalive_timeout ${keepAliveTimeout};
  server { listen 127.0.0.1:${port}; location / { ${location} } }
}
`,
    )
    const args = ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')]
    const server = new NginxServer('nginx', args, folder, port, { leads: true })
    await server.start()
    return server
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}
