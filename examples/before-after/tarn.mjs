import { Pool as TarnPool } from 'tarn'
import { Pool } from 'millpond'

let made = 0
const create = async () => ({ number: ++made })

/** Both in the same words: who takes gets a thing, and the means to give it back. */
export function before() {
  const pool = new TarnPool({ create, destroy: () => undefined, min: 0, max: 2 })
  return {
    async take() {
      const thing = await pool.acquire().promise
      return { thing, giveBack: () => pool.release(thing) }
    },
    end: () => pool.destroy(),
  }
}

export function after() {
  const pool = new Pool({ kind: 'thing', create, destroy: () => undefined }, { max: 2 })
  return {
    async take() {
      const lease = await pool.acquire()
      return { thing: lease.resource, giveBack: () => lease.release() }
    },
    end: () => pool.close(),
  }
}

/** Ada gives back twice; meanwhile Bob has what was hers. Does Cid get it too? */
export async function giveBackTwice({ take }) {
  const ada = await take()
  ada.giveBack()
  const bob = await take()
  let told
  try {
    ada.giveBack()
  } catch (error) {
    told = error.code
  }
  const cid = await take()
  const shared = bob.thing === cid.thing
  for (const { giveBack } of [bob, cid]) {
    try {
      giveBack()
    } catch {
      // Of what two have, one is given back in vain.
    }
  }
  return { told, shared }
}
