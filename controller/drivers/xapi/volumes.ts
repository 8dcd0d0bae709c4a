/** Volumes are VDIs, known by their `other_config`: names of VDIs are anyone's to change, and need not be unique. */
import { BerthError } from '../../errors/index.ts'
import type { CallOptions, DiskSpec, MachineObservation, ObservedVolume } from '../../hypervisor/port.ts'
import { volumePrefix } from '../shared/instance-id.ts'
import { failedWith } from './errors.ts'
import type { VM } from './machines.ts'
import type { PoolView, SR, VDI } from './pool.ts'
import { nullRef, type StringMap } from './records.ts'
import { keys } from './tag.ts'

/** VDIs have whole sectors. Drivers of SRs round up further. */
const sector = 512

/** Half a volume has a name of its own in the port, so that nobody takes it for the volume, and it is still deleted. */
const partialSuffix = '~partial'

export const isWhole = (vdi: VDI, machine?: VM): boolean =>
  vdi.other_config[keys.self] !== undefined && (vdi.other_config[keys.self] === vdi.uuid || isDiskOf(vdi, machine))

/** Moved to another SR, a disk has another UUID, and is the machine's all the same. */
const isDiskOf = ({ VBDs }: VDI, machine: VM | undefined): boolean =>
  machine?.VBDs.some((vbd) => VBDs.includes(vbd)) ?? false

/** Begun, and not finished. With another's UUID it is a copy that someone made: nothing of ours. */
export const isPartial = ({ other_config }: VDI): boolean => other_config[keys.self] === undefined

/** VDIs that bear the name of a volume, the one that counts first: everyone who looks chooses the same. */
export async function findVDIs(view: PoolView, sr: SR, volume: string): Promise<readonly VDI[]> {
  const vdis = await view.vdis()
  return vdis
    .filter((vdi) => vdi.SR === sr.ref && vdi.other_config[keys.volume] === volume)
    .toSorted((one, other) => (one.uuid < other.uuid ? -1 : 1))
}

/** The volume, whole. */
export async function findVolume(view: PoolView, sr: SR, volume: string, machine?: VM): Promise<VDI | undefined> {
  const vdis = await findVDIs(view, sr, volume)
  return vdis.find((vdi) => isDiskOf(vdi, machine) && isWhole(vdi, machine)) ?? vdis.find((vdi) => isWhole(vdi))
}

/** What a disk of the port is; rejects with DiskMissing. */
export async function requireDisk(view: PoolView, { name, pool, volume }: DiskSpec, machine?: VM): Promise<VDI> {
  const vdi = await findVolume(view, await view.activeSR(pool), volume, machine)
  if (vdi !== undefined) return vdi
  throw new BerthError('DiskMissing', `Disk '${name}': no volume '${volume}' is in the SR '${pool}'.`)
}

/**
 * Disks that are known by their machine alone, as they were moved or reverted, say themselves what they are: for when
 * the machine is gone. A copy beside the disk that it was made of is somebody's, attached to look into it.
 */
export async function adoptMoved(view: PoolView, instanceID: string, machine: VM, options: CallOptions): Promise<void> {
  const prefix = volumePrefix(instanceID)
  const vdis = await view.vdis()
  for (const vdi of vdis) {
    const { [keys.volume]: volume, [keys.self]: self } = vdi.other_config
    if (!volume?.startsWith(prefix) || !isWhole(vdi, machine) || vdis.some(({ uuid }) => uuid === self)) continue
    const adopted = { ...vdi.other_config, [keys.self]: vdi.uuid }
    await view.client.change('VDI.set_other_config', [vdi.ref, adopted], options)
  }
}

export interface NewVolume {
  readonly volume: string
  /** Bytes. */
  readonly size: number
  readonly description: string
  readonly tags: StringMap
}

/** Makes an empty VDI, half a volume until `finishVolume`. */
export async function beginVolume(
  { client }: PoolView,
  sr: SR,
  { volume, size, description, tags }: NewVolume,
  options: CallOptions,
): Promise<{ readonly ref: string; readonly uuid: string }> {
  const ref = await client.change<string>(
    'VDI.create',
    [
      {
        name_label: volume,
        name_description: description,
        SR: sr.ref,
        virtual_size: Math.max(1, Math.ceil(size / sector)) * sector,
        type: 'user',
        sharable: false,
        read_only: false,
        other_config: { [keys.schema]: '1', [keys.volume]: volume, ...tags },
        xenstore_data: {},
        sm_config: {},
        tags: [],
      },
    ],
    options,
  )
  return { ref, uuid: await client.read<string>('VDI.get_uuid', [ref], options) }
}

/** Writes the completion marker: the VDI counts from now on. */
export async function finishVolume(
  { client }: PoolView,
  vdi: { readonly ref: string; readonly uuid: string },
  options: CallOptions,
): Promise<void> {
  await client.change('VDI.add_to_other_config', [vdi.ref, keys.self, vdi.uuid], options)
}

/** Gone already: nothing. */
export async function destroyVDI({ client }: PoolView, ref: string, options: CallOptions): Promise<void> {
  try {
    await client.run('VDI.destroy', [ref], options)
  } catch (error) {
    if (failedWith(error, 'HANDLE_INVALID')) return
    throw error
  }
}

/**
 * Destroys what was left half made. Rejects with HypervisorBusy while a copy into it goes on; `finish` is called for a
 * copy that has ended well since, and tells that nothing more is to be done.
 */
export async function clearPartial(view: PoolView, vdi: VDI, options: CallOptions): Promise<'Finished' | 'Cleared'> {
  const task = vdi.other_config[keys.task] ?? nullRef
  const status = task === nullRef ? undefined : await view.client.taskStatus(task, options)
  if (status === 'pending' || status === 'cancelling' || Object.keys(vdi.current_operations).length > 0) {
    throw new BerthError('HypervisorBusy', `The pool is still at work on VDI '${vdi.name_label}'.`)
  }
  if (status === 'success') {
    await finishVolume(view, vdi, options)
    await view.client.forget(task)
    return 'Finished'
  }
  await destroyVDI(view, vdi.ref, options)
  return 'Cleared'
}

/** Volumes of an instance, in every SR that a host can reach. */
export async function volumesOfInstance(
  view: PoolView,
  instanceID: string,
  machine: VM | undefined,
): Promise<Pick<MachineObservation, 'volumes' | 'pools'>> {
  const prefix = volumePrefix(instanceID)
  const [srs, vdis] = await Promise.all([view.srs(), view.vdis()])
  const active = srs.filter((sr) => sr.active)
  const volumes = new Map<string, ObservedVolume>()
  for (const vdi of vdis) {
    const sr = active.find(({ ref }) => ref === vdi.SR)
    const volume = vdi.other_config[keys.volume]
    if (sr === undefined || !volume?.startsWith(prefix)) continue
    if (!isWhole(vdi, machine) && !isPartial(vdi)) continue
    const name = isPartial(vdi) ? `${volume}${partialSuffix}` : volume
    const before = volumes.get(`${sr.ref} ${name}`)?.allocation ?? 0
    volumes.set(`${sr.ref} ${name}`, {
      pool: sr.name,
      name,
      capacity: Number(vdi.virtual_size),
      allocation: before + Number(vdi.physical_utilisation),
    })
  }
  return { volumes: [...volumes.values()], pools: active.flatMap(({ name, uuid }) => [...new Set([name, uuid])]) }
}

/** VDIs that a name of the port stands for: a whole volume's, or what was left half made. */
export async function vdisToDelete(
  view: PoolView,
  sr: SR,
  name: string,
  machine: VM | undefined,
): Promise<readonly VDI[]> {
  if (!name.endsWith(partialSuffix)) return (await findVDIs(view, sr, name)).filter((vdi) => isWhole(vdi, machine))
  return (await findVDIs(view, sr, name.slice(0, -partialSuffix.length))).filter(isPartial)
}
