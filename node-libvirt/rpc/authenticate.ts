import { ErrorCode } from '../error-codes.ts'
import { LibvirtError } from '../errors.ts'
import { AuthType } from '../protocol/procedures.ts'
import type { RpcClient } from './client.ts'
import { Scram, ScramError } from './scram.ts'
import { openError } from './socket.ts'

/** A user of the server's SASL database. */
export interface SaslOptions {
  /** `name`, or `name@realm` where the server has realms. */
  readonly username: string
  readonly password: string
}

/** What is tried, best first. */
const mechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN'] as const

/**
 * Does what the server demands before anything else: nothing, SASL or polkit.
 * @param secret Whether nobody can listen: PLAIN sends the password as it is.
 * @throws LibvirtConnectionError `AuthenticationFailed` or `AuthenticationUnsupported`
 */
export const authenticate = async (
  client: RpcClient,
  sasl: SaslOptions | undefined,
  secret: boolean,
  signal: AbortSignal,
): Promise<void> => {
  const { types } = await client.call('auth_list', {}, { signal })
  try {
    if (types.length === 0 || types.includes(AuthType.NONE)) return
    if (types.includes(AuthType.SASL)) await authenticateWithSASL(client, sasl, secret, signal)
    // The server asks its polkit about the process at the other end of the socket.
    else if (types.includes(AuthType.POLKIT)) await client.call('auth_polkit', {}, { signal })
    else throw openError('AuthenticationUnsupported', `the server demands authentication of type ${types.join(', ')}`)
  } catch (error) {
    if (error instanceof ScramError || (error instanceof LibvirtError && refusals.includes(error.code))) {
      throw openError('AuthenticationFailed', `the server does not let us in: ${error.message}`, error)
    }
    throw error
  }
}

const refusals: readonly number[] = [ErrorCode.AUTH_FAILED, ErrorCode.AUTH_CANCELLED, ErrorCode.AUTH_UNAVAILABLE]

const authenticateWithSASL = async (
  client: RpcClient,
  sasl: SaslOptions | undefined,
  secret: boolean,
  signal: AbortSignal,
): Promise<void> => {
  if (sasl === undefined) throw openError('AuthenticationFailed', 'the server demands a user and a password (SASL)')
  const { mechlist } = await client.call('auth_sasl_init', {}, { signal }).catch((error) => {
    if (!(error instanceof LibvirtError)) throw error
    // libvirtd has looked at what it has: over plain TCP it takes only mechanisms that encrypt.
    throw openError('AuthenticationUnsupported', 'the server has no SASL mechanism for this transport', error)
  })
  const offered = mechlist.split(/[ ,]+/)
  const mechanism = mechanisms.find((known) => offered.includes(known) && (known !== 'PLAIN' || secret))
  if (mechanism === undefined) {
    const message = `of the server's SASL mechanisms (${mechlist}) none is supported on this transport`
    throw openError('AuthenticationUnsupported', message)
  }
  const start = (data: Buffer) =>
    client.call('auth_sasl_start', { mech: mechanism, nil: 0, data: Array.from(data) }, { signal })
  const step = (data: Buffer) => client.call('auth_sasl_step', { nil: 0, data: Array.from(data) }, { signal })

  if (mechanism === 'PLAIN') {
    const { complete } = await start(Buffer.from(`\0${sasl.username}\0${sasl.password}`))
    if (complete !== 1) throw new ScramError('PLAIN does not end after one message')
    return
  }
  const scram = new Scram(mechanism, sasl.username, sasl.password)
  const first = await start(scram.first)
  const final = await step(await scram.final(Buffer.from(first.data)))
  scram.verify(Buffer.from(final.data))
  if (final.complete !== 1 && (await step(Buffer.alloc(0))).complete !== 1) {
    throw new ScramError('SCRAM does not end after its last message')
  }
}
