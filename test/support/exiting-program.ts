import { Pool } from '../../src/core/pool.ts'

// Ends by `process.exit` with a lease out, or (told so) in order, and must say so or be quiet.
const pool = new Pool(
  {
    kind: 'thing',
    create: () => Promise.resolve({}),
    destroy: () => undefined,
    isHeldOnPurpose: () => process.argv[2] === 'listening',
  },
  { name: 'orders' },
)
pool.on('mistake', ({ code }) => console.log(code))
const lease = await pool.acquire()
if (process.argv[2] === 'released') lease.release()
if (process.argv[2] === 'closed') await pool.close({ timeoutMillis: 1 })
if (process.argv[2] !== 'by itself') process.exit(3)
