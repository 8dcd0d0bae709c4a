import { BerthError, isBerthError } from '../../errors/index.ts'
import type { CallOptions, Driver, Session, XAPITarget } from '../../hypervisor/port.ts'
import { Client } from './client.ts'
import { readPool } from './host.ts'
import { EventPump } from './pump.ts'
import { XAPISession } from './session.ts'
import { type Connector, trustingConnector } from './trust.ts'

/** Machines on a pool of XenServer or XCP-ng hosts. */
export const xapiDriver: Driver<XAPITarget> = {
  name: 'xapi',
  async connect(target: XAPITarget, options: CallOptions = {}): Promise<Session> {
    const { certificateAuthority } = target.credentials ?? {}
    const trust = {
      ...(certificateAuthority === undefined ? {} : { certificateAuthority }),
      ...(target.certificateFingerprints === undefined ? {} : { fingerprints: target.certificateFingerprints }),
    }
    const connector = trustingConnector(trust, target.callTimeout)
    const client = await login(target, connector, options)
    try {
      const information = await readPool(client, options)
      const pump = new EventPump(client)
      await pump.begin(options)
      return new XAPISession(client, connector, information, pump)
    } catch (error) {
      await client.close()
      throw error
    }
  },
}

/** At the first member that lets us in: the others are asked only when it cannot be reached or trusted. */
async function login(target: XAPITarget, connector: Connector, options: CallOptions): Promise<Client> {
  const { members, callTimeout, credentials: { username, password } = {} } = target
  if (username === undefined || password === undefined) {
    throw new BerthError('CredentialsInvalid', 'A XAPI pool needs username and password in the credentials.')
  }
  const problems: BerthError[] = []
  for (const member of members) {
    try {
      return await Client.open({ member, username, password, connector, callTimeout }, options)
    } catch (error) {
      // Another member would refuse the same password, and an account may be locked by too many.
      if (!isBerthError(error) || isBerthError(error, 'CredentialsInvalid') || options.signal?.aborted) throw error
      problems.push(error)
    }
  }
  const worst = problems.find(({ code }) => code === 'CertificateInvalid') ?? problems[0]
  const words = problems.map(({ message }, index) => `${members[index]}: ${message}`).join(' ')
  throw new BerthError(worst?.code ?? 'InvalidConfiguration', words || 'spec.xapi.members names no host.')
}
