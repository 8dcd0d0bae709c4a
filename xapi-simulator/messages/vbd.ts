import { XapiError } from '../errors.ts'
import type { RecordOf } from '../model/model.ts'
import { nullReference } from '../model/types.ts'
import type { Pool } from '../state/pool.ts'
import type { Call, Handlers } from './call.ts'

/** The positions of disks that a machine has not used. */
export function freeVbdDevices(pool: Pool, vm: string): string[] {
  const used = devices(pool, vm)
  return Array.from({ length: 16 }, (_, index) => String(index)).filter((device) => !used.includes(device))
}

function devices(pool: Pool, vm: string): string[] {
  return pool.database.get('VM', vm).VBDs.flatMap((vbd) => pool.database.find('VBD', vbd)?.userdevice ?? [])
}

/** The position that a device name such as `xvdb` or `hdb` stands for. */
function position(userdevice: string): string | undefined {
  if (/^\d{1,3}$/.test(userdevice) && Number(userdevice) < 255) return userdevice
  const letter = /^(?:xvd|hd|sd)([a-p])$/.exec(userdevice)?.[1]
  return letter === undefined ? undefined : String(letter.charCodeAt(0) - 'a'.charCodeAt(0))
}

export function makeVbd(pool: Pool, args: Partial<RecordOf<'VBD'>> & { VM: string }): string {
  const {
    VM: vm,
    VDI: vdi = nullReference,
    type = 'Disk',
    mode = 'RW',
    empty = false,
    userdevice = 'autodetect',
  } = args
  pool.database.get('VM', vm)
  if (!empty) pool.database.get('VDI', vdi)
  if (type === 'CD' && mode !== 'RO') throw new XapiError('VBD_CDS_MUST_BE_READONLY')
  if (type !== 'CD' && empty) throw new XapiError('VBD_NOT_REMOVABLE_MEDIA', 'in constructor')
  if (mode === 'RW' && pool.database.get('VDI', vdi).read_only) throw new XapiError('VDI_READONLY', vdi)
  const device = userdevice === 'autodetect' ? freeVbdDevices(pool, vm)[0] : position(userdevice)
  if (device === undefined) throw new XapiError('INVALID_DEVICE', userdevice)
  if (devices(pool, vm).some((used) => position(used) === device)) {
    throw new XapiError('DEVICE_ALREADY_EXISTS', userdevice)
  }
  const vbd = pool.database.create('VBD', {
    ...args,
    VDI: empty ? nullReference : vdi,
    userdevice: userdevice === 'autodetect' ? device : userdevice,
    device: '',
    currently_attached: false,
    unpluggable: true,
    metrics: pool.database.create('VBD_metrics', {}),
  })
  pool.refreshAround('VBD', vbd)
  return vbd
}

export function dropVbd(pool: Pool, vbd: string): void {
  const { VDI, metrics } = pool.database.get('VBD', vbd)
  pool.database.remove('VBD', vbd)
  if (pool.database.find('VBD_metrics', metrics)) pool.database.remove('VBD_metrics', metrics)
  pool.database.refresh('VDI', VDI)
}

function assertRunning(pool: Pool, vm: string): void {
  const { power_state } = pool.database.get('VM', vm)
  if (power_state !== 'Running') {
    throw new XapiError('VM_BAD_POWER_STATE', vm, 'running', power_state.toLowerCase())
  }
}

async function attach({ pool, work }: Call, self: string, attached: boolean): Promise<undefined> {
  const { VM, VDI, type, mode, currently_attached } = pool.database.get('VBD', self)
  assertRunning(pool, VM)
  if (currently_attached === attached) {
    throw new XapiError(attached ? 'DEVICE_ALREADY_ATTACHED' : 'DEVICE_ALREADY_DETACHED', self)
  }
  if (type === 'CD') {
    const reason = 'HVM CDROMs cannot be hotplugged/unplugged, only inserted or ejected'
    throw new XapiError('OPERATION_NOT_ALLOWED', reason)
  }
  const vdi = pool.database.get('VDI', VDI)
  const clash = pool.attachedBy(vdi).some((other) => other.VM !== VM && (other.mode === 'RW' || mode === 'RW'))
  if (attached && clash && !vdi.sharable) throw new XapiError('VDI_IN_USE', VDI, 'attach')
  await work()
  if (!attached && !pool.guest.releasesDisks) {
    throw new XapiError('DEVICE_DETACH_REJECTED', 'VBD', self, 'the guest holds on to it')
  }
  pool.database.update('VBD', self, { currently_attached: attached })
  pool.refreshAround('VBD', self)
  return undefined
}

export const vbdMessages: Handlers<'VBD'> = {
  create: ({ pool }, { args }) => makeVbd(pool, args),
  destroy({ pool }, { self }) {
    const { currently_attached } = pool.database.get('VBD', self)
    if (currently_attached) {
      throw new XapiError(
        'OPERATION_NOT_ALLOWED',
        `VBD '${self}' still attached to '${pool.database.get('VBD', self).VM}'`,
      )
    }
    dropVbd(pool, self)
    return undefined
  },
  plug: (call, { self }) => attach(call, self, true),
  unplug: (call, { self }) => attach(call, self, false),
  unplug_force: (call, { self }) => attach(call, self, false),
  insert({ pool }, { vbd, vdi }) {
    const { type, empty, VM } = pool.database.get('VBD', vbd)
    if (type !== 'CD') throw new XapiError('VBD_NOT_REMOVABLE_MEDIA', vbd)
    if (!empty) throw new XapiError('VBD_NOT_EMPTY', vbd)
    pool.database.get('VDI', vdi)
    const live = pool.database.get('VM', VM).power_state !== 'Halted'
    pool.database.update('VBD', vbd, { VDI: vdi, empty: false, currently_attached: live })
    pool.refreshAround('VBD', vbd)
    return undefined
  },
  eject({ pool }, { vbd }) {
    const { type, empty, VDI } = pool.database.get('VBD', vbd)
    if (type !== 'CD') throw new XapiError('VBD_NOT_REMOVABLE_MEDIA', vbd)
    if (empty) throw new XapiError('VBD_IS_EMPTY', vbd)
    pool.database.update('VBD', vbd, { VDI: nullReference, empty: true, currently_attached: false })
    pool.refreshAround('VBD', vbd)
    pool.database.refresh('VDI', VDI)
    return undefined
  },
  set_mode({ pool }, { self, value }) {
    const { VM, VDI, type, empty } = pool.database.get('VBD', self)
    const { power_state } = pool.database.get('VM', VM)
    if (power_state !== 'Halted') {
      throw new XapiError('VM_BAD_POWER_STATE', VM, 'halted', power_state.toLowerCase())
    }
    if (type === 'CD' && value !== 'RO') throw new XapiError('VBD_CDS_MUST_BE_READONLY')
    if (value === 'RW' && !empty && pool.database.get('VDI', VDI).read_only) throw new XapiError('VDI_READONLY', VDI)
    pool.database.update('VBD', self, { mode: value })
    return undefined
  },
  assert_attachable({ pool }, { self }) {
    const { VDI, empty } = pool.database.get('VBD', self)
    if (!empty) pool.database.get('VDI', VDI)
    return undefined
  },
}
