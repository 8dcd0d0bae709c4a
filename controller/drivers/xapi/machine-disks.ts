/** The disks of a machine: its VBDs, and which of them Berth made. */
import type { CallOptions, ObservedDisk } from '../../hypervisor/port.ts'
import { volumeNames } from '../../hypervisor/port.ts'
import { volumePrefix } from '../shared/instance-id.ts'
import type { VM } from './machines.ts'
import type { PoolView, VDI } from './pool.ts'
import { type Found, found, type Records, type VBDRecord } from './records.ts'
import { keys } from './tag.ts'

export interface MachineDisk {
  readonly vbd: Found<VBDRecord>
  /** Absent: it is gone. */
  readonly vdi?: VDI
  /** Of the disk in the port. Absent: the seed, or none that Berth gave the machine. */
  readonly name?: string
  readonly isSeed: boolean
  /** The machine is not to have it any more, and gives it up when its guest does, or when it is off. */
  readonly isLeaving: boolean
}

export async function readMachineDisks(
  view: PoolView,
  vm: VM,
  instanceID: string,
  options: CallOptions = {},
): Promise<readonly MachineDisk[]> {
  const [records, vdis] = await Promise.all([
    view.client.read<Records<VBDRecord>>('VBD.get_all_records_where', [`field "VM" = "${vm.ref}"`], options),
    view.vdis(),
  ])
  return found(records)
    .filter(({ empty }) => !empty)
    .toSorted((one, other) => Number(one.userdevice) - Number(other.userdevice))
    .map((vbd) => {
      const vdi = vdis.find(({ ref }) => ref === vbd.VDI)
      const volume = vdi?.other_config[keys.volume]
      const isSeed = volume === volumeNames.seed(instanceID)
      const name = isSeed ? undefined : nameOf(vbd, vdi, instanceID)
      return {
        vbd,
        ...(vdi === undefined ? {} : { vdi }),
        ...(name === undefined ? {} : { name }),
        isSeed,
        isLeaving: vbd.other_config[keys.leaving] !== undefined,
      }
    })
}

/** Those of older versions say no name; that of the volume has it. A copy that somebody made is theirs. */
function nameOf({ other_config }: VBDRecord, vdi: VDI | undefined, instanceID: string): string | undefined {
  if (other_config[keys.disk] !== undefined) return other_config[keys.disk]
  const volume = vdi?.other_config[keys.volume]
  const prefix = volumePrefix(instanceID)
  return volume?.startsWith(prefix) && vdi?.other_config[keys.self] === vdi?.uuid
    ? volume.slice(prefix.length)
    : undefined
}

/** What the port tells of them. What is neither there now nor from the next start on is not told. */
export async function observeDisks(view: PoolView, vm: VM, instanceID: string): Promise<readonly ObservedDisk[]> {
  const [disks, srs] = await Promise.all([readMachineDisks(view, vm, instanceID), view.srs()])
  const isOn = vm.power_state === 'Running' || vm.power_state === 'Paused'
  return disks.flatMap(({ vbd, vdi, name, isSeed, isLeaving }) => {
    const attached = isOn && vbd.currently_attached
    if (isSeed || (isLeaving && !attached)) return []
    const sr = srs.find(({ ref }) => ref === vdi?.SR)
    const volume = vdi?.other_config[keys.volume]
    return [
      {
        ...(name === undefined ? {} : { name }),
        ...(name === undefined || sr === undefined || volume === undefined ? {} : { pool: sr.name, volume }),
        target: targetOf(vbd),
        attached,
        defined: !isLeaving,
      },
    ]
  })
}

/** As Xen's guests call it: position 0 is `xvda`. */
function targetOf({ userdevice }: VBDRecord): string {
  const position = Number(userdevice)
  return Number.isInteger(position) && position < 26 ? `xvd${String.fromCharCode(97 + position)}` : userdevice
}

/** Position of the seed among a machine's disks: where the first CD-ROM of a fully virtualised machine is. */
export const seedDevice = '3'

/** Where nothing is. Undefined: XAPI finds a place, or says that there is none. */
export function freeDevice(disks: readonly MachineDisk[]): string | undefined {
  const used = new Set([seedDevice, ...disks.map(({ vbd }) => vbd.userdevice)])
  return Array.from({ length: 16 }, (_, index) => String(index)).find((device) => !used.has(device))
}

/** Makes the VBD of a disk; the machine has it from its next start on. */
export async function makeVBD(
  { client }: PoolView,
  vm: VM,
  vdi: VDI,
  record: {
    readonly userdevice: string
    readonly bootable: boolean
    readonly mode: 'RW' | 'RO'
    readonly type: 'Disk' | 'CD'
    readonly other_config: Readonly<Record<string, string>>
  },
  options: CallOptions,
): Promise<string> {
  const common = { VM: vm.ref, VDI: vdi.ref, empty: false, unpluggable: true }
  const qos = { qos_algorithm_type: '', qos_algorithm_params: {} }
  return client.change<string>('VBD.create', [{ ...common, ...qos, ...record }], options)
}

export const diskVBD = (name: string, userdevice: string, bootable: boolean) =>
  ({ userdevice, bootable, mode: 'RW', type: 'Disk', other_config: { [keys.disk]: name } }) as const

export async function markLeaving(
  { client }: PoolView,
  { vbd, isLeaving }: MachineDisk,
  options: CallOptions,
): Promise<void> {
  if (!isLeaving) await client.change('VBD.add_to_other_config', [vbd.ref, keys.leaving, 'true'], options)
}

export async function unmarkLeaving(
  { client }: PoolView,
  { vbd, isLeaving }: MachineDisk,
  options: CallOptions,
): Promise<void> {
  if (isLeaving) await client.change('VBD.remove_from_other_config', [vbd.ref, keys.leaving], options)
}
