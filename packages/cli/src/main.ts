#!/usr/bin/env node
import { processIo } from './io.ts'
import { run } from './program.ts'

// `| head` closes the pipe: nobody reads on, and that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
process.exitCode = await run(process.argv.slice(2), processIo())
