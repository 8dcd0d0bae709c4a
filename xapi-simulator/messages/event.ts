import { XapiError } from '../errors.ts'
import { type ClassName, classes } from '../model/model.ts'
import type { Value } from '../model/types.ts'
import { eventsSince, eventToken, readToken } from '../state/events.ts'
import type { Handlers } from './call.ts'

/** The longest that event.from waits, whatever was asked. */
const longestWait = 24 * 60 * 60 * 1000

export const eventMessages: Handlers<'event'> = {
  /** Waits for an event, for the end of the time that was said, or for the session's end. */
  async from({ pool, session }, { classes: subscriptions, token, timeout }) {
    const { database, options } = pool
    const since = readToken(token)
    let expired = timeout <= 0
    let wake = () => {}
    const forgetListener = database.onChange(() => wake())
    const forgetTimer = options.clock.after(Math.min(timeout * 1000, longestWait), () => {
      expired = true
      wake()
    })
    try {
      for (;;) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve
        })
        if (database.find('session', session) === undefined) throw new XapiError('SESSION_INVALID', session)
        const batch = eventsSince(database, subscriptions, since)
        if (batch.events.length > 0 || expired) return batch as unknown as Value
        await changed
      }
    } finally {
      forgetListener()
      forgetTimer()
    }
  },
  inject({ pool }, { class: name, ref }) {
    const className = [...classes.keys()].find((known) => known.toLowerCase() === name.toLowerCase())
    if (className === undefined || pool.database.find(className as ClassName, ref) === undefined) {
      throw new XapiError('HANDLE_INVALID', name, ref)
    }
    const token = eventToken(pool.database.generation)
    pool.database.touch(className, ref)
    return token
  },
  get_current_id({ pool }) {
    return pool.database.generation
  },
}
