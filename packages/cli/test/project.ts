import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folders: string[] = []

/** A project of these files on disk, with these drivers installed. */
export function project(files: Readonly<Record<string, string>>, drivers: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'millpond-project-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  if (drivers.length > 0) mkdirSync(join(folder, 'node_modules'), { recursive: true })
  for (const name of drivers)
    symlinkSync(new URL(`../../../node_modules/${name}`, import.meta.url).pathname, join(folder, 'node_modules', name))
  return folder
}

export function removeProjects(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}
