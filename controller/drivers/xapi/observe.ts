import type { CallOptions, InventoryEntry, MachineObservation, ObservedInterface } from '../../hypervisor/port.ts'
import { failedWith } from './errors.ts'
import { observeDisks } from './machine-disks.ts'
import { isParked, pauseReasonOf, powerOf, requireOwn, sight } from './machines.ts'
import type { PoolView } from './pool.ts'
import { found, type GuestMetricsRecord, nullRef, type Records, type VIFRecord } from './records.ts'
import { keys } from './tag.ts'
import { volumesOfInstance } from './volumes.ts'

export async function observe(view: PoolView, instanceID: string): Promise<MachineObservation> {
  const { own, foreign } = sight(await view.vms(), instanceID)
  const storage = await volumesOfInstance(view, instanceID, own?.vm)
  if (foreign !== undefined) return { ...storage, foreign }
  if (own === undefined) return storage
  const { vm, tag } = own
  const power = powerOf(vm)
  return {
    ...storage,
    machine: {
      tag,
      id: vm.uuid,
      hostName: vm.name_label,
      power,
      // XAPI keeps no reason.
      ...(power === 'Stopped' ? { stopReason: 'Unknown' as const } : {}),
      ...(power === 'Paused' ? { pauseReason: pauseReasonOf(vm) } : {}),
      parked: isParked(vm),
      transient: false,
      cpus: Number(vm.VCPUs_max),
      memory: Number(vm.memory_static_max),
      disks: await observeDisks(view, vm, instanceID),
    },
  }
}

/** All machines in one reading. Copies of ours, and what a lost call left beside ours, are not ours. */
export async function list(view: PoolView): Promise<InventoryEntry[]> {
  const vms = await view.vms()
  const byInstance = Map.groupBy(vms, ({ other_config }) => other_config[keys.instanceID] ?? '')
  return vms.map((vm) => {
    const memory = Number(vm.memory_static_max)
    const entry = { id: vm.uuid, hostName: vm.name_label, power: powerOf(vm), parked: isParked(vm), memory }
    const tag = ownTag(byInstance.get(vm.other_config[keys.instanceID] ?? '') ?? [], vm.ref)
    return tag === undefined ? entry : { ...entry, tag }
  })
}

function ownTag(vms: Awaited<ReturnType<PoolView['vms']>>, ref: string) {
  const instanceID = vms[0]?.other_config[keys.instanceID]
  if (instanceID === undefined || !isUUID(instanceID)) return undefined
  const { own } = sight(vms, instanceID)
  return own?.vm.ref === ref ? own.tag : undefined
}

const isUUID = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)

/** What the guest's agent tells. It knows no networks, so prefixes are those of a single address. */
export async function interfaces(
  view: PoolView,
  instanceID: string,
  options: CallOptions,
): Promise<ObservedInterface[]> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined || own.vm.power_state !== 'Running') return []
  const [vifs, networks] = await Promise.all([
    view.client.read<Records<VIFRecord>>('VIF.get_all_records_where', [`field "VM" = "${own.vm.ref}"`], options),
    guestNetworks(view, own.vm.guest_metrics, options),
  ])
  return found(vifs)
    .toSorted((one, other) => Number(one.device) - Number(other.device))
    .map(({ device, MAC }) => ({
      macAddress: MAC,
      addresses: addressesOf(networks, device).map((address) => ({
        address,
        prefix: address.includes(':') ? 128 : 32,
        source: 'Agent' as const,
      })),
    }))
}

async function guestNetworks(view: PoolView, metrics: string, options: CallOptions) {
  if (metrics === nullRef) return {}
  try {
    const { networks } = await view.client.read<GuestMetricsRecord>('VM_guest_metrics.get_record', [metrics], options)
    return networks
  } catch (error) {
    // The machine went off in between.
    if (failedWith(error, 'HANDLE_INVALID')) return {}
    throw error
  }
}

/** Keys are `0/ip`, `0/ipv4/0`, `0/ipv6/1` …; agents tell the first IPv4 address twice. */
export function addressesOf(networks: Readonly<Record<string, string>>, device: string): string[] {
  const pattern = new RegExp(`^${device}/(ip|ipv[46]/\\d+)$`)
  const addresses = Object.entries(networks)
    .filter(([key, address]) => pattern.test(key) && address !== '')
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([, address]) => address)
  return [...new Set(addresses)]
}
