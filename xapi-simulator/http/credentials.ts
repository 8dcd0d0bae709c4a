import type { IncomingMessage } from 'node:http'
import { sessionIsValid } from '../messages/dispatch.ts'
import type { Pool } from '../state/pool.ts'

/** Whether a request that is no call may be served: a session in the query or a cookie, else a name and password. */
export function isAuthorised(pool: Pool, request: IncomingMessage, query: URLSearchParams): boolean {
  const cookie = /(?:^|;\s*)session_id=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
  const session = query.get('session_id') ?? (cookie === undefined ? undefined : decodeURIComponent(cookie))
  if (session !== undefined) return sessionIsValid(pool, session)
  const [, basic] = /^Basic (\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  const { user, password } = pool.options
  return basic !== undefined && Buffer.from(basic, 'base64').toString('utf8') === `${user}:${password}`
}
