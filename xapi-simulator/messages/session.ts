import { XapiError } from '../errors.ts'
import type { Handlers } from './call.ts'

export const sessionMessages: Handlers<'session'> = {
  login_with_password({ pool, member }, { uname, pwd, originator }) {
    // A host that is not the master knows where the master is, and nothing of accounts.
    if (pool.self[1].master !== member.host) throw new XapiError('HOST_IS_SLAVE', pool.masterAddress)
    if (uname !== pool.options.user || pwd !== pool.options.password) {
      throw new XapiError('SESSION_AUTHENTICATION_FAILED', uname, 'Authentication failure')
    }
    return pool.database.create('session', {
      this_host: member.host,
      last_active: pool.now(),
      validation_time: pool.now(),
      is_local_superuser: true,
      auth_user_name: uname,
      originator,
    })
  },
  logout({ pool, session }) {
    pool.database.remove('session', session)
    return undefined
  },
}
