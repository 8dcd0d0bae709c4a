import { request } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import type { ClientCertificate } from './certificates.ts'

/** The HTTP status of a GET, or 0 when there was no answer within 2 s. */
function statusOf(url: string, client: ClientCertificate): Promise<number> {
  return new Promise((resolve) => {
    const { authority: ca, certificate: cert, key } = client
    const get = request(url, { ca, cert, key, agent: false, timeout: 2_000 }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    get.once('timeout', () => get.destroy())
    get.once('error', () => resolve(0))
    get.end()
  })
}

/**
 * Resolves when `url` answers 200. Rejects when `failure` tells a reason to give up, which is asked before each try,
 * or after `timeoutMilliseconds`.
 */
export async function waitUntilOk(
  url: string,
  client: ClientCertificate,
  failure: () => string | undefined,
  timeoutMilliseconds = 120_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMilliseconds
  while ((await statusOf(url, client)) !== 200) {
    const reason = failure() ?? (Date.now() > deadline ? `${url} was not ready in time` : undefined)
    if (reason !== undefined) throw new Error(reason)
    await delay(50)
  }
}
