import type { Network } from '../../api/index.ts'
import type { NetworkAttachment } from '../../hypervisor/port.ts'

/** What a Network is on one hypervisor: the attachment that names it, else the one for all. */
export function attachmentOn(network: Network, hypervisor: string): NetworkAttachment | undefined {
  const { attachments } = network.spec
  const found =
    attachments.find((attachment) => attachment.hypervisor === hypervisor) ??
    attachments.find((attachment) => attachment.hypervisor === '*')
  if (found?.bridge !== undefined) return { bridge: found.bridge }
  if (found?.libvirtNetwork !== undefined) return { libvirtNetwork: found.libvirtNetwork }
  return found?.xapiNetwork === undefined ? undefined : { xapiNetwork: found.xapiNetwork }
}
