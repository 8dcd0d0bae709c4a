import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Pool } from '../state/pool.ts'
import { isAuthorised } from './credentials.ts'

/** Answers CONNECT /console with the first words of a VNC server; there is no screen behind it. */
export function answerConsole(pool: Pool, request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy())
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://member')
  const said = searchParams.get('uuid') ?? searchParams.get('ref')
  const machine = pool.database.all('VM').find(([reference, { uuid, consoles }]) => {
    const known = consoles.flatMap((console) => [console, pool.database.find('console', console)?.uuid])
    return reference === said || uuid === said || known.includes(said ?? '')
  })?.[1]
  if (pathname !== '/console') socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
  else if (!isAuthorised(pool, request, searchParams)) {
    socket.end('HTTP/1.1 401 Unauthorised\r\nWWW-Authenticate: Basic realm="XAPI"\r\n\r\n')
  } else if (machine?.power_state !== 'Running') socket.end('HTTP/1.1 404 Not Found\r\n\r\n')
  else socket.write('HTTP/1.1 200 OK\r\n\r\nRFB 003.003\n')
}
