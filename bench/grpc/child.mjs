/** One subject in a process of its own, with slow calls by many callers; prints its figures as JSON. */
import { block } from '../lib/block.mjs'
import { SUBJECTS } from './subjects.mjs'

const [, , name = '', target = '', callers = '500', operations = '2000'] = process.argv
const client = SUBJECTS[name](JSON.parse(target))
await block(client, Number(callers), Number(callers))
console.log(JSON.stringify(await block(client, Number(callers), Number(operations))))
process.exit(0)
