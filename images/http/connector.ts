import { type LookupAddress, lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector } from 'undici'
import { type AddressPolicy, forbidden } from './address-policy.ts'

export interface ConnectionOptions {
  readonly policy: AddressPolicy
  readonly lookup: LookupFunction | undefined
  /** PEM certificates to trust instead of the system's. */
  readonly caBundle: string | undefined
  /** Milliseconds. */
  readonly timeout: number
}

/**
 * Connections that the address policy holds for. It is checked on the very addresses that are connected to, and on the
 * peer before a byte is sent, so neither a redirect nor a name that answers differently the second time gets past it.
 */
export function createAgent(options: ConnectionOptions): Agent {
  const connect = buildConnector({
    allowH2: false, // one long stream: nothing to multiplex
    timeout: options.timeout,
    rejectUnauthorized: true,
    lookup: guardedLookup(options.policy, options.lookup ?? systemLookup),
    ...(options.caBundle === undefined ? {} : { ca: options.caBundle }),
  })
  return new Agent({
    pipelining: 0,
    connect(target, callback) {
      const host = target.hostname.replace(/^\[|\]$/g, '')
      // An address is never looked up.
      if (isIP(host) !== 0 && options.policy.denies(host)) return callback(forbidden(host), null)
      connect(target, (error, socket) => {
        if (error || !socket) return callback(error ?? new Error('no socket'), null)
        const peer = socket.remoteAddress
        if (peer !== undefined && options.policy.denies(peer)) {
          socket.destroy()
          return callback(forbidden(host), null)
        }
        callback(null, socket)
      })
    },
  })
}

function guardedLookup(policy: AddressPolicy, lookup: LookupFunction | typeof systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    const answer = (error: NodeJS.ErrnoException | null, found: string | LookupAddress[], family?: number) => {
      if (error) return callback(error, '', 0)
      const all = typeof found === 'string' ? [{ address: found, family: family ?? isIP(found) }] : found
      const allowed = all.filter(({ address }) => !policy.denies(address))
      const first = allowed[0]
      if (!first) return callback(forbidden(hostname), '', 0)
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    }
    ;(lookup as LookupFunction)(hostname, { ...options, all: true }, answer)
  }
}
