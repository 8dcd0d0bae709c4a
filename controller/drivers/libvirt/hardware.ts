import { BerthError } from '../../errors/index.ts'
import type { InterfaceSpec } from '../../hypervisor/port.ts'
import type { DomainDefinition, PlacedDisk, Virtualisation } from './domain-xml.ts'
import { type Element, element } from './xml.ts'

/** What a machine's hardware is made from: `seed` is a disk with its serial number as name. */
export type HardwareDefinition = Omit<DomainDefinition, 'seed'> & { readonly seed: PlacedDisk }

/** The parts of a domain's XML that differ between hypervisors. */
export interface Hardware {
  /** Beside the type in `<os>`. */
  readonly boot: readonly Element[]
  /** Between `<os>` and what is to be done when the machine ends. */
  readonly platform: readonly Element[]
  readonly devices: readonly Element[]
}

/** The disk that the seed is on Xen, counted from 0: the last that is emulated for HVM. */
export const xenSeedIndex = 3

/** What the guest calls its disk: `vda` … `vdz`, `vdaa` …; on Xen `xvda` …, without the one that is the seed's. */
export function diskTarget(virtualisation: Virtualisation, index: number): string {
  if (virtualisation !== 'Xen') return `vd${letters(index)}`
  return `xvd${letters(index < xenSeedIndex ? index : index + 1)}`
}

/** `a` … `z`, `aa` … */
export function letters(index: number): string {
  return (index < 26 ? '' : letters(Math.floor(index / 26) - 1)) + String.fromCharCode(97 + (index % 26))
}

/** A network interface; `details` follow its source. */
export function networkInterface({ macAddress, attachment }: InterfaceSpec, details: readonly Element[]): Element {
  const [type, source] = interfaceSource(attachment)
  return element('interface', { type }, [
    element('mac', { address: macAddress }),
    element('source', source),
    ...details,
  ])
}

/** Its type, and where it comes from. */
export function interfaceSource(attachment: InterfaceSpec['attachment']): [string, Record<string, string>] {
  if ('bridge' in attachment) return ['bridge', { bridge: attachment.bridge }]
  if ('libvirtNetwork' in attachment) return ['network', { network: attachment.libvirtNetwork }]
  throw new BerthError('InvalidConfiguration', `Network ${attachment.xapiNetwork} of XAPI is not for libvirt.`)
}
