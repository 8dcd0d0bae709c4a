import { XapiError } from '../errors.ts'
import type { Call, Handlers } from './call.ts'
import { freeMemory } from './placement.ts'

export const poolMessages: Handlers<'pool'> = {
  async designate_new_master({ pool, work }, { host }) {
    pool.database.get('host', host)
    await work()
    pool.database.update('pool', pool.self[0], { master: host })
    return undefined
  },
  sync_database: () => undefined,
  has_extension: () => false,
}

function enable(enabled: boolean) {
  return ({ pool }: Call, { host }: { readonly host: string }) => {
    pool.database.update('host', host, { enabled })
    return undefined
  }
}

export const hostMessages: Handlers<'host'> = {
  enable: enable(true),
  disable: enable(false),
  compute_free_memory: ({ pool }, { host }) => freeMemory(pool, host),
  compute_memory_overhead: ({ pool }, { host }) => pool.database.get('host', host).memory_overhead,
  get_servertime({ pool }, { host }) {
    pool.database.get('host', host)
    return pool.now()
  },
  get_server_localtime({ pool }, { host }) {
    pool.database.get('host', host)
    return pool.now()
  },
  get_management_interface({ pool }, { host }) {
    const { PIFs } = pool.database.get('host', host)
    const management = PIFs.find((pif) => pool.database.find('PIF', pif)?.management)
    if (management === undefined) throw new XapiError('HOST_HAS_NO_MANAGEMENT_IP')
    return management
  },
}

export const networkMessages: Handlers<'network'> = {
  create({ pool }, { args }) {
    const bridge = args.bridge === '' ? `xapi${pool.database.all('network').length}` : args.bridge
    return pool.database.create('network', { ...args, bridge, managed: true })
  },
  destroy({ pool }, { self }) {
    const { VIFs, PIFs } = pool.database.get('network', self)
    if (VIFs.some((vif) => pool.database.find('VIF', vif)?.currently_attached)) {
      throw new XapiError('NETWORK_CONTAINS_VIF', VIFs.join(','))
    }
    if (PIFs.length > 0) throw new XapiError('NETWORK_CONTAINS_PIF', PIFs.join(','))
    pool.database.remove('network', self)
    return undefined
  },
}
