/** What becomes of the disks of a machine: see `Session.attachDisk`, `detachDisk` and `growDisk`. */
import { BerthError, isBerthError } from '../../errors/index.ts'
import type { CallOptions, DiskSpec } from '../../hypervisor/port.ts'
import { requireOwnName } from '../shared/instance-id.ts'
import { failedWith } from './errors.ts'
import { diskVBD, freeDevice, makeVBD, markLeaving, readMachineDisks, unmarkLeaving } from './machine-disks.ts'
import { type OwnMachine, powerOf, requireIdle, requireOwn } from './machines.ts'
import type { PoolView } from './pool.ts'
import { destroyVBD } from './seed.ts'
import { findVolume, requireDisk } from './volumes.ts'

/** How long a guest is waited for that is to let go of a disk, ms; it may do so later. */
const patience = 5_000

/** XAPI plugs nothing into a machine that is paused. */
export async function attachDisk(
  view: PoolView,
  instanceID: string,
  disk: DiskSpec,
  options: CallOptions,
): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own !== undefined) requireIdle(own.vm)
  if (own === undefined || powerOf(own.vm) !== 'Running') {
    const words = own === undefined ? 'is not there' : `is ${powerOf(own.vm)}`
    throw new BerthError('HypervisorRefused', `The machine of instance ${instanceID} ${words}: no disk is plugged in.`)
  }
  const { vm } = own
  const vdi = await requireDisk(view, disk, vm)
  const disks = await readMachineDisks(view, vm, instanceID, options)
  const known = disks.find(({ name }) => name === disk.name)
  if (known !== undefined && known.vbd.VDI !== vdi.ref) {
    const words = `is another VDI than ${vdi.name_label} (${vdi.uuid})`
    throw new BerthError('HypervisorRefused', `Disk '${disk.name}' of VM '${vm.name_label}' ${words}.`)
  }
  if (known !== undefined) await unmarkLeaving(view, known, options)
  if (known?.vbd.currently_attached) return
  const device = freeDevice(disks) ?? 'autodetect'
  const ref = known?.vbd.ref ?? (await makeVBD(view, vm, vdi, diskVBD(disk.name, device, false), options))
  try {
    await view.client.run('VBD.plug', [ref], options)
  } catch (error) {
    if (!failedWith(error, 'DEVICE_ALREADY_ATTACHED')) throw error
  }
}

/** The VBD says first that it is to go, and goes last: whoever looks in between knows. */
export async function detachDisk(
  view: PoolView,
  instanceID: string,
  name: string,
  options: CallOptions,
): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined) return
  const disk = (await readMachineDisks(view, own.vm, instanceID, options)).find((one) => one.name === name)
  if (disk === undefined) return
  requireIdle(own.vm)
  const power = powerOf(own.vm)
  if (power === 'Suspended') throw savedMemory(own, `disk '${name}'`)
  if (power !== 'Stopped' && disk.vbd.currently_attached) {
    await markLeaving(view, disk, options)
    if (power === 'Paused' || !(await letsGo(view, disk.vbd.ref, options))) return
  }
  await destroyVBD(view, disk.vbd.ref, options)
}

/** What XAPI tells of a guest that holds on. */
const holdsOn = ['DEVICE_DETACH_REJECTED', 'DEVICE_DETACH_TIMEOUT', 'OTHER_OPERATION_IN_PROGRESS']

/** Whether it has by now; asked it was in any case. */
async function letsGo({ client }: PoolView, vbd: string, options: CallOptions): Promise<boolean> {
  const task = await client.begin('VBD.unplug', [vbd], options)
  try {
    await client.follow(task, options, patience)
    return true
  } catch (error) {
    if (failedWith(error, 'DEVICE_ALREADY_DETACHED')) return true
    if (failedWith(error, ...holdsOn) || isBerthError(error, 'CallTimedOut')) return false
    throw error
  }
}

/** Most SRs resize no disk that a machine has; the pool says which. */
export async function growDisk(
  view: PoolView,
  instanceID: string,
  pool: string,
  volume: string,
  capacity: number,
  options: CallOptions,
): Promise<void> {
  requireOwnName(instanceID, volume)
  const sr = await view.activeSR(pool)
  const { own } = requireOwn(await view.vms(), instanceID)
  const vdi = await findVolume(view, sr, volume, own?.vm)
  if (vdi === undefined) {
    throw new BerthError('DiskMissing', `No volume '${volume}' is in the SR '${pool}': it cannot be made larger.`)
  }
  if (Number(vdi.virtual_size) >= capacity) return
  if (own !== undefined && powerOf(own.vm) === 'Suspended') throw savedMemory(own, `volume '${volume}'`)
  if (
    own !== undefined &&
    (await isAttached(view, own, vdi.ref, options)) &&
    !vdi.allowed_operations.includes('resize')
  ) {
    const words = `is not off, and its SR resizes no disk that is in use`
    throw new BerthError('NotSupported', `Volume '${volume}' is not made larger: VM '${own.vm.name_label}' ${words}.`)
  }
  await view.client.run('VDI.resize', [vdi.ref, capacity], options)
}

async function isAttached(
  view: PoolView,
  { vm, tag }: OwnMachine,
  vdi: string,
  options: CallOptions,
): Promise<boolean> {
  const disks = await readMachineDisks(view, vm, tag.instanceID, options)
  return disks.some(({ vbd }) => vbd.VDI === vdi && vbd.currently_attached)
}

/** Rejects with InUse where a machine that is on has the VDI, now or from its next start on, or a saved memory may. */
export async function requireUnused(
  view: PoolView,
  own: OwnMachine,
  volume: string,
  vdis: readonly { readonly ref: string }[],
  options: CallOptions,
): Promise<void> {
  const { vm, tag } = own
  if (vm.power_state === 'Halted') return
  const disks = vm.power_state === 'Suspended' ? [] : await readMachineDisks(view, vm, tag.instanceID, options)
  const uses = disks.some(
    ({ vbd, isLeaving }) => vdis.some(({ ref }) => ref === vbd.VDI) && (vbd.currently_attached || !isLeaving),
  )
  if (vm.power_state !== 'Suspended' && !uses) return
  throw new BerthError('InUse', `Volume '${volume}' is kept: VM '${vm.name_label}' is not off, and has it.`)
}

const savedMemory = ({ vm }: OwnMachine, what: string): BerthError =>
  new BerthError(
    'HypervisorRefused',
    `VM '${vm.name_label}' has a saved memory, which knows ${what}: start it first (xe vm-resume).`,
  )
