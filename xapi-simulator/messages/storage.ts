import { XapiError } from '../errors.ts'
import type { Handlers } from './call.ts'

export const srMessages: Handlers<'SR'> = {
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
