/** Network interfaces: VIFs. Ours bear their name; what others attached is seen, and never touched. */
import { BerthError } from '../../errors/index.ts'
import type { CallOptions, InterfaceSpec, MachineInterface, NetworkAttachment } from '../../hypervisor/port.ts'
import { failedWith } from './errors.ts'
import { powerOf, requireIdle, requireOwn, type VM } from './machines.ts'
import type { PoolView } from './pool.ts'
import { requireRunning } from './power.ts'
import { type Found, found, type NetworkRecord, type Records, type VIFRecord } from './records.ts'
import { keys } from './tag.ts'

type VIF = Found<VIFRecord>

/** Guests of Xen see so many. */
const devices = ['0', '1', '2', '3', '4', '5', '6']

const hasMAC =
  (macAddress: string) =>
  ({ MAC }: VIF): boolean =>
    MAC.toLowerCase() === macAddress.toLowerCase()

async function readVIFs({ client }: PoolView, { ref }: VM, options: CallOptions): Promise<readonly VIF[]> {
  const vifs = await client.read<Records<VIFRecord>>('VIF.get_all_records_where', [`field "VM" = "${ref}"`], options)
  return found(vifs).toSorted((one, other) => Number(one.device) - Number(other.device))
}

export async function observeInterfaces(view: PoolView, vm: VM): Promise<MachineInterface[]> {
  const [vifs, networks] = await Promise.all([readVIFs(view, vm, {}), view.networks({})])
  const power = powerOf(vm)
  const isOn = power === 'Running' || power === 'Paused'
  return vifs.map(({ MAC, network, currently_attached, other_config }) => {
    const name = other_config[keys.interface]
    const attached = networks.find(({ ref }) => ref === network)
    return {
      ...(name === undefined ? {} : { name }),
      macAddress: MAC.toLowerCase(),
      ...(attached ? { attachment: attachmentTo(attached, other_config[keys.attachment]) } : {}),
      attached: isOn && currently_attached,
      defined: true,
    }
  })
}

/** In the words in which it was asked for, where they still fit. */
function attachmentTo(network: NetworkRecord, recorded: string | undefined): NetworkAttachment {
  const { uuid, name_label, bridge } = network
  const forms: readonly NetworkAttachment[] = [{ xapiNetwork: uuid }, { xapiNetwork: name_label }, { bridge }]
  return forms.find((form) => JSON.stringify(form) === recorded) ?? { xapiNetwork: uuid }
}

async function requireNetwork(
  view: PoolView,
  { name, attachment, antiSpoofing }: InterfaceSpec,
  options: CallOptions,
): Promise<Found<NetworkRecord>> {
  if (antiSpoofing !== undefined) {
    throw new BerthError('NotSupported', `Interface '${name}': XAPI filters by IP addresses alone, not by MAC address.`)
  }
  const network = 'libvirtNetwork' in attachment ? undefined : await view.findNetwork(attachment, options)
  if (network !== undefined) return network
  throw new BerthError('NetworkNotFound', `Interface '${name}': the pool has no such network.`)
}

const otherConfig = ({ name, attachment }: InterfaceSpec) => ({
  [keys.interface]: name,
  [keys.attachment]: JSON.stringify(attachment),
})

/** The VIF with the MAC address, made if there is none, on the network and under the name. Plugs none. */
async function bringAbout(
  view: PoolView,
  vm: VM,
  before: readonly VIF[],
  wanted: InterfaceSpec,
  options: CallOptions,
): Promise<void> {
  const { client } = view
  const network = await requireNetwork(view, wanted, options)
  const same = before.find(hasMAC(wanted.macAddress))
  if (same === undefined) {
    const device = devices.find((free) => !before.some((vif) => vif.device === free))
    if (device === undefined) throw new BerthError('HypervisorRefused', `VM '${vm.name_label}' has no room for more.`)
    const record = {
      device,
      network: network.ref,
      VM: vm.ref,
      MAC: wanted.macAddress,
      MTU: Number(network.MTU) || 1500,
      qos_algorithm_type: '',
      qos_algorithm_params: {},
      other_config: otherConfig(wanted),
      locking_mode: 'network_default',
      ipv4_allowed: [],
      ipv6_allowed: [],
    }
    await client.change('VIF.create', [record], options)
    return
  }
  if (same.network !== network.ref) await client.change('VIF.move', [same.ref, network.ref], options)
  const named = { ...same.other_config, ...otherConfig(wanted) }
  if (JSON.stringify(named) !== JSON.stringify({ ...same.other_config }))
    await client.change('VIF.set_other_config', [same.ref, named], options)
}

/** Those of a machine that is off: as wanted, and none of ours beside them. */
export async function defineInterfaces(
  view: PoolView,
  vm: VM,
  interfaces: readonly InterfaceSpec[],
  options: CallOptions,
): Promise<void> {
  for (const wanted of interfaces) await requireNetwork(view, wanted, options)
  const vifs = await readVIFs(view, vm, options)
  for (const vif of vifs) {
    const isWanted = interfaces.some(({ macAddress }) => hasMAC(macAddress)(vif))
    if (isWanted) requireOwnVIF(vm, vif)
    else if (vif.other_config[keys.interface] !== undefined) await destroy(view, vif, options)
  }
  for (const wanted of interfaces) {
    // Anew each time: what was made takes a position.
    await bringAbout(view, vm, await readVIFs(view, vm, options), wanted, options)
  }
}

/** See `Session.attachInterface`. What was made by a call that then was lost is plugged by the next. */
export async function attachInterface(
  view: PoolView,
  instanceID: string,
  wanted: InterfaceSpec,
  options: CallOptions,
): Promise<void> {
  const vm = await requireRunning(view, instanceID)
  const before = await readVIFs(view, vm, options)
  const same = before.find(hasMAC(wanted.macAddress))
  if (same) requireOwnVIF(vm, same)
  await bringAbout(view, vm, before, wanted, options)
  const vif = (await readVIFs(view, vm, options)).find(hasMAC(wanted.macAddress))
  if (vif === undefined || vif.currently_attached) return
  await unless('DEVICE_ALREADY_ATTACHED', () => view.client.run('VIF.plug', [vif.ref], options))
}

/** See `Session.detachInterface`. XAPI waits for the guest, and has no definition beside what runs. */
export async function detachInterface(
  view: PoolView,
  instanceID: string,
  macAddress: string,
  options: CallOptions,
): Promise<void> {
  const { own } = requireOwn(await view.vms(), instanceID)
  if (own === undefined) return
  requireIdle(own.vm)
  const vif = (await readVIFs(view, own.vm, options)).find(hasMAC(macAddress))
  if (vif === undefined) return
  requireOwnVIF(own.vm, vif)
  if (own.vm.power_state === 'Running' && vif.currently_attached)
    await unless('DEVICE_ALREADY_DETACHED', () => view.client.run('VIF.unplug', [vif.ref], options))
  await destroy(view, vif, options)
}

function requireOwnVIF({ name_label }: VM, { MAC, other_config }: VIF): void {
  if (other_config[keys.interface] !== undefined) return
  const words = `VM '${name_label}' has another VIF with the MAC address ${MAC}, which was attached on the host`
  throw new BerthError('ForeignObject', `${words}: not touched. Destroy it there (xe vif-destroy).`)
}

const destroy = ({ client }: PoolView, { ref }: VIF, options: CallOptions): Promise<void> =>
  unless('HANDLE_INVALID', () => client.change('VIF.destroy', [ref], options))

/** Another call was quicker. */
async function unless(code: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!failedWith(error, code)) throw error
  }
}
