import { isDeepStrictEqual } from 'node:util'
import { BerthError } from '../../errors/index.ts'
import type { CallOptions, Capabilities, MachineSpec } from '../../hypervisor/port.ts'
import { requireOwnName, requireUUID } from '../shared/instance-id.ts'
import { blocked, chooseMode, machineRecord, unblocked } from './definition.ts'
import { failedWith } from './errors.ts'
import { defineInterfaces } from './interfaces.ts'
import {
  diskVBD,
  freeDevice,
  type MachineDisk,
  makeVBD,
  markLeaving,
  readMachineDisks,
  seedDevice,
  unmarkLeaving,
} from './machine-disks.ts'
import { isParked, type OwnMachine, powerOf, requireIdle, requireOwn, sight, type VM } from './machines.ts'
import type { PoolView, VDI } from './pool.ts'
import { destroyVBD, writeSeed } from './seed.ts'
import { keys, tagMap } from './tag.ts'
import type { Connector } from './trust.ts'
import { adoptMoved, requireDisk } from './volumes.ts'

/**
 * See `Session.define`. A machine is made parked, gets its disks and interfaces, then the mark that it is whole, and is
 * opened last, by a call of its own: what is interrupted anywhere before that cannot start, and is gone on with.
 */
export async function define(
  view: PoolView,
  connector: Connector,
  capabilities: Capabilities,
  machine: MachineSpec,
  options: CallOptions,
): Promise<void> {
  const { tag, seed } = machine
  const { instanceID } = tag
  requireOwnName(requireUUID(instanceID), seed.volume)
  const mode = chooseMode(machine, capabilities)
  const tags = tagMap(tag)
  const before = requireOwn(await view.vms(), instanceID).own
  if (before) requireIdle(before.vm)
  const disks = await Promise.all(
    machine.disks.map(async ({ name, ...where }) => ({
      name,
      vdi: await requireDisk(view, { name, ...where }, before?.vm),
    })),
  )
  const isOff = before === undefined || before.vm.power_state === 'Halted'
  if (seed.files !== undefined && isOff) {
    const sr = await view.activeSR(seed.pool)
    await writeSeed(view, sr, connector, instanceID, seed.volume, seed.files, options)
  }
  const seedDisk = await requireDisk(view, { ...seed, name: 'seed' }, before?.vm)
  if (before === undefined) {
    const name = await freeName(view, machine)
    await view.client.change('VM.create', [machineRecord(machine, name, mode)], options)
  }
  // Two may be there by now: everyone goes on with the same one.
  const { own, surplus } = requireOwn(await view.vms(), instanceID)
  requireNeverRan(surplus)
  if (own === undefined) throw new BerthError('TemporaryFailure', 'The machine that was made is gone.')
  // First, as whoever made the other may fail on what we are about to attach, and leaves none behind that way.
  for (const { ref } of surplus) await destroyMachine(view, ref, options)
  await setTag(view, own.vm, tags, options)
  // XAPI changes nothing of a machine whose memory is saved.
  if (own.vm.power_state !== 'Suspended') await setDisks(view, own, disks, options)
  if (own.vm.power_state === 'Halted') {
    await setSize(view, own.vm, machine, options)
    await attachSeed(view, own, seedDisk, options)
    await defineInterfaces(view, own.vm, machine.interfaces, options)
  }
  await open(view, own, options)
}

/** XAPI lets any number of machines have one name; people do not. */
async function freeName(view: PoolView, { hostName, tag: { instanceID } }: MachineSpec): Promise<string> {
  const taken = new Set((await view.vms()).map(({ name_label }) => name_label))
  const candidates = [hostName, `${hostName}_${instanceID.slice(0, 8)}`]
  return candidates.find((name) => !taken.has(name)) ?? `${hostName}_${instanceID}`
}

/** The whole map in one call, or a crash would leave half a tag; what others keep there is kept. */
async function setTag(view: PoolView, vm: VM, tags: Readonly<Record<string, string>>, options: CallOptions) {
  // A start without a claim: never wanted, whoever set it.
  const { auto_poweron: _, ...wanted } = { ...vm.other_config, ...tags }
  if (!isDeepStrictEqual({ ...vm.other_config }, wanted))
    await view.client.change('VM.set_other_config', [vm.ref, wanted], options)
}

async function setSize(view: PoolView, vm: VM, { cpus, memory }: MachineSpec, options: CallOptions): Promise<void> {
  const { client } = view
  if (Number(vm.memory_static_max) !== memory) {
    await client.change('VM.set_memory_limits', [vm.ref, memory, memory, memory, memory], options)
  }
  const before = Number(vm.VCPUs_max)
  if (before === cpus) return
  // At no time more at startup than at most.
  const [first, second] = cpus > before ? ['max', 'at_startup'] : ['at_startup', 'max']
  await client.change(`VM.set_VCPUs_${first}`, [vm.ref, cpus], options)
  await client.change(`VM.set_VCPUs_${second}`, [vm.ref, cpus], options)
}

/**
 * Adds what is missing and takes away what is not of the spec any more; what others attached stays. A machine that is on
 * keeps what it has plugged in, and gets nothing more before its next start.
 */
async function setDisks(
  view: PoolView,
  { vm, tag }: OwnMachine,
  wanted: readonly { readonly name: string; readonly vdi: VDI }[],
  options: CallOptions,
): Promise<void> {
  const isOff = vm.power_state === 'Halted'
  const disks = () => readMachineDisks(view, vm, tag.instanceID, options)
  for (const disk of await disks()) {
    if (disk.name === undefined || wanted.some(({ name }) => name === disk.name)) continue
    if (isOff || !disk.vbd.currently_attached) await destroyVBD(view, disk.vbd.ref, options)
    else await markLeaving(view, disk, options)
  }
  for (const [index, { name, vdi }] of wanted.entries()) {
    const known = await disks()
    const same = known.find(({ vbd }) => vbd.VDI === vdi.ref)
    if (same !== undefined) await unmarkLeaving(view, same, options)
    if (same !== undefined || (!isOff && known.some((disk) => disk.name === name))) continue
    // The first is where every firmware looks for what it boots.
    const named = known.find((disk) => disk.name === name)
    const device = named?.vbd.userdevice ?? (index === 0 ? '0' : (freeDevice(known) ?? 'autodetect'))
    await clear(view, vm, known, device, vdi, options)
    await makeVBD(view, vm, vdi, diskVBD(name, device, index === 0), options)
  }
}

/** A disk of a fully virtualised machine cannot be read-only; a CD-ROM always is. */
async function attachSeed(view: PoolView, { vm, tag }: OwnMachine, seed: VDI, options: CallOptions): Promise<void> {
  const known = await readMachineDisks(view, vm, tag.instanceID, options)
  if (known.some(({ vbd }) => vbd.VDI === seed.ref)) return
  await clear(view, vm, known, seedDevice, seed, options)
  const record = { userdevice: seedDevice, bootable: false, mode: 'RO', type: 'CD', other_config: {} } as const
  await makeVBD(view, vm, seed, record, options)
}

/** Takes away a VBD whose VDI is gone. */
async function clear(
  view: PoolView,
  vm: VM,
  known: readonly MachineDisk[],
  device: string,
  wanted: VDI,
  options: CallOptions,
): Promise<void> {
  const other = known.find(({ vbd }) => vbd.userdevice === device)
  if (other === undefined) return
  // Written by the guest since, or put there by a person: our disk in its place would boot the machine from the past.
  if (other.vdi !== undefined) throw new BerthError('Drifted', movedDisk(vm, device, wanted))
  await destroyVBD(view, other.vbd.ref, options)
}

const movedDisk = (vm: VM, device: string, vdi: VDI): string =>
  `Device ${device} of VM '${vm.name_label}' is another VDI than ${vdi.name_label} (${vdi.uuid}), which Berth made: detach it there, or delete what Berth made.`

/** The mark that it is whole, then a last look: of two that were marked at once, neither is opened before one is gone. */
async function open(view: PoolView, { vm, whole, tag }: OwnMachine, options: CallOptions): Promise<void> {
  if (!whole) await view.client.change('VM.add_to_other_config', [vm.ref, keys.self, vm.uuid], options)
  const { own, surplus } = requireOwn(await view.vms(), tag.instanceID)
  if (own?.vm.ref !== vm.ref || surplus.length > 0) {
    throw new BerthError('HypervisorBusy', `Machines of instance ${tag.instanceID} are being made by another call.`)
  }
  await setBlocked(view, own.vm, unblocked(own.vm.blocked_operations), options)
}

/**
 * See `Session.park`. Absent: nothing, as nothing is there that could be started. Rejects with HypervisorBusy while a
 * start goes on that was let in before: the machine will run.
 */
export async function park(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined || isParked(own.vm)) return
  await setBlocked(view, own.vm, blocked(own.vm.blocked_operations), options)
  const after = requireOwn(await view.vms(), instanceID).own
  if (after !== undefined && !isParked(after.vm)) requireIdle(after.vm)
}

async function setBlocked(
  view: PoolView,
  vm: VM,
  operations: Readonly<Record<string, string>>,
  options: CallOptions,
): Promise<void> {
  if (isDeepStrictEqual({ ...vm.blocked_operations }, operations)) return
  await view.client.change('VM.set_blocked_operations', [vm.ref, operations], options)
}

/** See `Session.undefine`. Disks stay, but for a saved memory. */
export async function undefine(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own, surplus } = requireOwn(await view.vms(), instanceID)
  if (own === undefined) return
  requireNeverRan(surplus)
  const power = powerOf(own.vm)
  if (power === 'Running' || power === 'Paused') {
    throw new BerthError('HypervisorRefused', `VM '${own.vm.name_label}' runs: it is not destroyed before it is off.`)
  }
  requireIdle(own.vm)
  if (power === 'Suspended') await view.client.run('VM.hard_shutdown', [own.vm.ref], options)
  await adoptMoved(view, instanceID, own.vm, options)
  for (const { ref } of [...surplus, own.vm]) await destroyMachine(view, ref, options)
}

/**
 * See `Session.release`. What lost calls made beside it goes first: it is found by the tag of ours alone. The tag comes
 * before the fence is taken down, since from then on nothing else touches it.
 */
export async function release(view: PoolView, instanceID: string, options: CallOptions): Promise<void> {
  const { own, released, surplus, foreign } = sight(await view.vms(), instanceID)
  const found = own ?? released
  if (found === undefined) {
    if (foreign !== undefined) throw new BerthError('ForeignObject', `Not touched: ${foreign}.`)
    return
  }
  const { vm, tag } = found
  if (own !== undefined) {
    requireIdle(vm)
    requireNeverRan(surplus)
    for (const { ref } of surplus) await destroyMachine(view, ref, options)
    const isOff = vm.power_state === 'Halted' || vm.power_state === 'Suspended'
    const tags = tagMap({ ...tag, slot: isOff ? '' : tag.slot, released: true })
    await view.client.change('VM.set_other_config', [vm.ref, { ...vm.other_config, ...tags }], options)
  }
  await setBlocked(view, vm, unblocked(vm.blocked_operations), options)
}

/** What a lost call made is parked from its first moment on. Anything else a person has made of ours. */
function requireNeverRan(surplus: readonly VM[]): void {
  const open = surplus.find((vm) => vm.power_state !== 'Halted' || !isParked(vm))
  if (open === undefined) return
  const words = `VM '${open.name_label}' (${open.uuid}) is the same instance's as another one, and could have run: not touched. Destroy it there, or the other.`
  throw new BerthError('ForeignObject', words)
}

async function destroyMachine(view: PoolView, vm: string, options: CallOptions): Promise<void> {
  try {
    await view.client.run('VM.destroy', [vm], options)
  } catch (error) {
    if (!failedWith(error, 'HANDLE_INVALID')) throw error
  }
}
