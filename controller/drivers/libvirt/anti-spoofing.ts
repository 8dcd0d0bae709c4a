/** What refers to the packet filter that keeps a guest from sending under MAC addresses of others. Pure. */
import type { InterfaceSpec } from '../../hypervisor/port.ts'
import { type Element, element, find } from './xml.ts'

export type AntiSpoofing = Pick<InterfaceSpec, 'antiSpoofing'>

/** libvirt's own `no-mac-spoofing` is not on every host: its package can be left out. */
export const macFilter = 'berth-own-mac'

export const filterReference = ({ antiSpoofing }: AntiSpoofing): Element | undefined =>
  antiSpoofing && element('filterref', { filter: macFilter })

/** Of an interface's device: whether it is filtered by ours. */
export const readAntiSpoofing = (device: Element): AntiSpoofing =>
  find(device, 'filterref')?.attributes['filter'] === macFilter ? { antiSpoofing: 'MAC' } : {}
