import { execFileSync } from 'node:child_process'

/**
 * A Python that has this module; on Debian the system's own, with a package of its.
 * @throws where there is none
 */
export function findPython(module: string): string {
  for (const program of ['python3', '/usr/bin/python3']) {
    try {
      const print = `import sys, ${module}; print(sys.executable)`
      return execFileSync(program, ['-c', print], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    } catch {
      // not this one
    }
  }
  throw new Error(`no \`python3\` here can import \`${module}\``)
}
