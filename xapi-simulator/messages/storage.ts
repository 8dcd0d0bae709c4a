import { XapiError } from '../errors.ts'
import type { Call, Handlers } from './call.ts'
import { dropVdi } from './vdi.ts'

/** An SR that no host is to use any more goes with its PBDs' records; `forget` leaves what is stored. */
function drop({ pool }: Call, { sr }: { readonly sr: string }): undefined {
  const { PBDs, VDIs } = pool.database.get('SR', sr)
  if (pool.isPlugged(sr)) throw new XapiError('SR_HAS_PBD', sr)
  for (const vdi of VDIs) dropVdi(pool, vdi)
  for (const pbd of PBDs) pool.database.remove('PBD', pbd)
  pool.database.remove('SR', sr)
  return undefined
}

export const srMessages: Handlers<'SR'> = {
  create(
    { pool },
    { host, device_config, physical_size, name_label, name_description, type, content_type, shared, sm_config },
  ) {
    pool.database.get('host', host)
    const SR = pool.database.create('SR', {
      name_label,
      name_description,
      type,
      content_type,
      shared,
      physical_size,
      sm_config,
    })
    const hosts = shared ? pool.database.all('host').map(([reference]) => reference) : [host]
    for (const each of hosts) {
      pool.database.create('PBD', { host: each, SR, device_config, currently_attached: true })
    }
    pool.refreshAround('SR', SR)
    return SR
  },
  forget: drop,
  destroy(call, { sr }) {
    const { PBDs, VDIs } = call.pool.database.get('SR', sr)
    if (VDIs.length > 0) throw new XapiError('SR_NOT_EMPTY')
    for (const pbd of PBDs) call.pool.database.update('PBD', pbd, { currently_attached: false })
    return drop(call, { sr })
  },
  async scan({ pool, work }, { sr }) {
    pool.database.get('SR', sr)
    if (!pool.isPlugged(sr)) throw new XapiError('SR_NO_PBDS', sr)
    await work()
    pool.account(sr)
    return undefined
  },
  update({ pool }, { sr }) {
    pool.database.get('SR', sr)
    pool.account(sr)
    return undefined
  },
  get_supported_types: ({ pool }) => [...new Set(pool.database.all('SR').map(([, { type }]) => type))],
  set_name_label({ pool }, { sr, value }) {
    pool.database.update('SR', sr, { name_label: value })
    return undefined
  },
  set_name_description({ pool }, { sr, value }) {
    pool.database.update('SR', sr, { name_description: value })
    return undefined
  },
}

export const pbdMessages: Handlers<'PBD'> = {
  create({ pool }, { args }) {
    pool.database.get('host', args.host)
    pool.database.get('SR', args.SR)
    return pool.database.create('PBD', { ...args, currently_attached: false })
  },
  destroy({ pool }, { self }) {
    if (pool.database.get('PBD', self).currently_attached) {
      throw new XapiError('OPERATION_NOT_ALLOWED', 'PBD is currently attached')
    }
    pool.database.remove('PBD', self)
    return undefined
  },
  plug({ pool }, { self }) {
    pool.database.update('PBD', self, { currently_attached: true })
    pool.refreshAround('SR', pool.database.get('PBD', self).SR)
    return undefined
  },
  unplug({ pool }, { self }) {
    const { SR, host } = pool.database.get('PBD', self)
    for (const vdi of pool.database.get('SR', SR).VDIs) {
      const record = pool.database.find('VDI', vdi)
      const used =
        record && pool.attachedBy(record).some(({ VM }) => pool.database.find('VM', VM)?.resident_on === host)
      if (used) throw new XapiError('SR_DEVICE_IN_USE')
    }
    pool.database.update('PBD', self, { currently_attached: false })
    pool.refreshAround('SR', SR)
    return undefined
  },
}
