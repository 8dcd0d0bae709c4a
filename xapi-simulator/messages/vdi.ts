import { XapiError } from '../errors.ts'
import type { RecordOf } from '../model/model.ts'
import { nullReference } from '../model/types.ts'
import { isThick, type Pool } from '../state/pool.ts'
import type { Call, Handlers } from './call.ts'
import { operateOnVdi } from './operation.ts'

/** Disks are made in blocks of VHD files, as most drivers of SRs do. */
const block = 2 * 1024 ** 2

/** Makes a disk, all zero. @throws SR_FULL; SR_NO_PBDS if no host has the SR plugged */
export function makeVdi(pool: Pool, values: Partial<RecordOf<'VDI'>> & { SR: string; virtual_size: number }): string {
  const sr = pool.database.get('SR', values.SR)
  if (!pool.isPlugged(values.SR)) throw new XapiError('SR_NO_PBDS', values.SR)
  if (values.virtual_size <= 0) throw new XapiError('INVALID_VALUE', 'virtual_size', String(values.virtual_size))
  const virtual_size = Math.ceil(values.virtual_size / block) * block
  if (isThick(sr)) pool.assertSpace(values.SR, virtual_size)
  const vdi = pool.database.create('VDI', { ...values, virtual_size, managed: true })
  pool.database.update('VDI', vdi, { location: pool.database.get('VDI', vdi).uuid })
  pool.makeDisk(vdi, virtual_size)
  pool.account(values.SR)
  return vdi
}

/** Takes a disk away, with the VBDs that point to it. */
export function dropVdi(pool: Pool, vdi: string): void {
  const { VBDs, SR } = pool.database.get('VDI', vdi)
  pool.database.remove('VDI', vdi)
  pool.disks.delete(vdi)
  for (const vbd of VBDs) if (pool.database.find('VBD', vbd)) pool.database.remove('VBD', vbd)
  pool.account(SR)
}

const chosen = [
  ...(['name_label', 'name_description', 'SR', 'virtual_size', 'type', 'sharable', 'read_only'] as const),
  ...(['other_config', 'xenstore_data', 'sm_config', 'tags'] as const),
] as const

/** The fields of a disk that whoever makes it chooses; all others are the pool's. */
const chosenByCaller = (vdi: Pick<RecordOf<'VDI'>, (typeof chosen)[number]>) =>
  Object.fromEntries(chosen.map((field) => [field, vdi[field]])) as typeof vdi

/** A disk beside another with the same bytes, made within its SR. */
export function duplicateVdi(pool: Pool, vdi: string, changes: Partial<RecordOf<'VDI'>> = {}): string {
  const source = pool.database.get('VDI', vdi)
  const made = makeVdi(pool, { ...chosenByCaller(source), ...changes })
  pool.disk(made).overlay(pool.disk(vdi))
  pool.account(changes.SR ?? source.SR)
  return made
}

/** What a disk takes in another SR. */
function assertRoomFor(pool: Pool, vdi: string, sr: string): void {
  const { virtual_size } = pool.database.get('VDI', vdi)
  pool.assertSpace(sr, isThick(pool.database.get('SR', sr)) ? virtual_size : pool.disk(vdi).allocated)
}

async function copy(
  call: Call,
  { vdi, sr, base_vdi, into_vdi }: { vdi: string; sr: string; base_vdi: string; into_vdi: string },
): Promise<string> {
  const { pool } = call
  if (base_vdi !== nullReference) throw new XapiError('VDI_NOT_SPARSE', base_vdi)
  const source = pool.database.get('VDI', vdi)
  if (into_vdi === nullReference) {
    pool.database.get('SR', sr)
    return operateOnVdi(call, vdi, 'copy', () => {
      assertRoomFor(pool, vdi, sr)
      return duplicateVdi(pool, vdi, { SR: sr, sm_config: {} })
    })
  }
  const target = pool.database.get('VDI', into_vdi)
  if (target.read_only) throw new XapiError('VDI_READONLY', into_vdi)
  if (target.virtual_size < source.virtual_size) {
    throw new XapiError('VDI_TOO_SMALL', into_vdi, String(source.virtual_size))
  }
  if (pool.attachedBy(target).length > 0) throw new XapiError('VDI_IN_USE', into_vdi, 'copy')
  return operateOnVdi(call, vdi, 'copy', () => {
    assertRoomFor(pool, vdi, target.SR)
    pool.disk(into_vdi).overlay(pool.disk(vdi))
    pool.account(target.SR)
    return into_vdi
  })
}

function label(field: 'name_label' | 'name_description') {
  return ({ pool }: Call, { self, value }: { readonly self: string; readonly value: string }) => {
    pool.database.update('VDI', self, { [field]: value })
    return undefined
  }
}

export const vdiMessages: Handlers<'VDI'> = {
  async create(call, { args }) {
    await call.work()
    return makeVdi(call.pool, chosenByCaller(args))
  },
  destroy(call, { self }) {
    return operateOnVdi(call, self, 'destroy', () => {
      dropVdi(call.pool, self)
      return undefined
    })
  },
  clone: (call, { vdi }) => operateOnVdi(call, vdi, 'clone', () => duplicateVdi(call.pool, vdi)),
  snapshot: (call, { vdi }) =>
    operateOnVdi(call, vdi, 'snapshot', () => {
      const snapshot = duplicateVdi(call.pool, vdi)
      call.pool.database.update('VDI', snapshot, {
        is_a_snapshot: true,
        snapshot_of: vdi,
        snapshot_time: call.pool.now(),
      })
      return snapshot
    }),
  copy,
  resize(call, { vdi, size }) {
    const { pool } = call
    return operateOnVdi(call, vdi, 'resize', () => {
      const { SR, virtual_size } = pool.database.get('VDI', vdi)
      if (size < virtual_size) {
        throw new XapiError('SR_BACKEND_FAILURE_79', '', 'VDI Invalid size [opterr=shrinking not allowed]', '')
      }
      const grown = Math.ceil(size / block) * block
      if (isThick(pool.database.get('SR', SR))) pool.assertSpace(SR, grown - virtual_size)
      pool.disk(vdi).resize(grown)
      pool.database.update('VDI', vdi, { virtual_size: grown })
      pool.account(SR)
      return undefined
    })
  },
  set_name_label: label('name_label'),
  set_name_description: label('name_description'),
  set_read_only({ pool }, { self, value }) {
    pool.database.update('VDI', self, { read_only: value })
    return undefined
  },
  set_sharable({ pool }, { self, value }) {
    pool.database.update('VDI', self, { sharable: value })
    return undefined
  },
  update({ pool }, { vdi }) {
    pool.database.get('VDI', vdi)
    return undefined
  },
}
