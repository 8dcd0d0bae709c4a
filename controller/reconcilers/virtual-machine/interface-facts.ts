/** What is declared of a machine's network interfaces, as its host is told. Pure over the caches. */
import type { Network, VirtualMachine } from '../../api/index.ts'
import type { InterfaceSpec, ObservedMachine } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import { attachmentOn } from '../shared/attachment.ts'
import type { Caches } from '../shared/caches.ts'
import type { InterfaceFacts } from './interface-model.ts'
import { problem, type Resolution } from './resolution.ts'
import { declaredInterfaces, type ResolvedInterface, resolveInterface } from './resolve.ts'

/** One list entry for each that is declared, whatever is wrong with another. */
export const interfaceFacts = (
  vm: ReadObject<VirtualMachine>,
  hypervisor: string,
  features: readonly string[],
  caches: Caches,
): readonly InterfaceFacts[] =>
  declaredInterfaces(vm).map((declared): InterfaceFacts => {
    const { name, macAddress, network } = resolveInterface(vm, declared, caches)
    const known = { name, macAddress }
    if ('problem' in network) return { ...known, problem: network.problem }
    const spec = interfaceSpec(
      { ...known, network: network.value },
      { hypervisor, features, networks: caches.networks },
    )
    return { ...known, network: network.value, ...('problem' in spec ? spec : { spec: spec.value }) }
  })

/** A host that filters one of its interfaces can: what it says may be of a moment in which its daemon did not answer. */
export const withFilters = (features: readonly string[], machine: ObservedMachine | undefined): readonly string[] =>
  machine?.interfaces.some(({ antiSpoofing }) => antiSpoofing !== undefined) ? [...features, 'AntiSpoofing'] : features

export interface InterfaceContext {
  readonly hypervisor: string
  /** What the hypervisor can do. */
  readonly features: readonly string[]
  readonly networks: { get(name: string): Network | undefined }
}

export function interfaceSpec(
  { name, macAddress, network }: ResolvedInterface,
  { hypervisor, features, networks }: InterfaceContext,
): Resolution<InterfaceSpec> {
  const found = networks.get(network)
  const attachment = found && attachmentOn(found, hypervisor)
  if (!found || !attachment) {
    const mend = `add it to the Network's attachments, or name another in spec.networkInterfaces[${name}].network`
    return problem('NetworkNotFound', `Network ${network} is not on hypervisor ${hypervisor}: ${mend}`)
  }
  const isFiltered = found.spec.antiSpoofing !== 'Disabled' && features.includes('AntiSpoofing')
  return { value: { name, macAddress, attachment, ...(isFiltered ? { antiSpoofing: 'MAC' as const } : {}) } }
}
