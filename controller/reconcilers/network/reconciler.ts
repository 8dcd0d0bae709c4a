import { type Network, type NetworkStatus, networks } from '../../api/index.ts'
import type { Hosts } from '../../hypervisor/hosts.ts'
import type { HostInformation } from '../../hypervisor/port.ts'
import type { KubeClient, ReadObject } from '../../kube/port.ts'
import type { Clock, ReconcileContext, Reconciler, Result } from '../../runtime/port.ts'
import { attachmentOn } from '../shared/attachment.ts'
import type { Caches } from '../shared/caches.ts'
import { isFalse, isTrue, isUnknown, summarize } from '../shared/conditions.ts'
import { isUntried } from '../shared/untried.ts'
import { writeStatus } from '../shared/write-status.ts'
import { reportRanges } from './addresses.ts'

export interface NetworkDependencies {
  readonly client: KubeClient
  readonly caches: Caches
  readonly hosts: Hosts
  readonly clock: Clock
}

type Attachment = NonNullable<NetworkStatus['attachments']>[number]

const lookAgainAfter = 300_000
const lookForMissingAfter = 30_000

const filtering = ({ spec }: Network, { capabilities }: HostInformation): NonNullable<Attachment['antiSpoofing']> => {
  if (spec.antiSpoofing === 'Disabled') return 'Disabled'
  return capabilities.features.includes('AntiSpoofing') ? 'Enabled' : 'NotSupported'
}

function unfiltered(attachments: readonly Attachment[]): string {
  const names = attachments.filter(({ antiSpoofing }) => antiSpoofing === 'NotSupported').map((one) => one.hypervisor)
  return names.length === 0 ? '' : `; spoofed MAC addresses are not filtered on ${names.slice(0, 10).join(', ')}`
}

/** Tells on which hypervisors a network is there. Changes nothing on them. */
export class NetworkReconciler implements Reconciler {
  readonly name = 'network'
  readonly #dependencies: NetworkDependencies

  constructor(dependencies: NetworkDependencies) {
    this.#dependencies = dependencies
  }

  async reconcile(key: string, { signal }: ReconcileContext): Promise<Result> {
    const { caches, client, clock } = this.#dependencies
    const network = caches.networks.get(key)
    if (!network || network.metadata.deletionTimestamp !== undefined) return {}
    const hypervisors = caches.hypervisors.list().map(({ metadata }) => metadata.name)
    const attachments = (
      await Promise.all(hypervisors.toSorted().map((name) => this.#look(network, name, signal)))
    ).filter((seen) => seen !== undefined)
    const missing = attachments.filter(({ state }) => state === 'Missing').map(({ hypervisor }) => hypervisor)
    const { addresses, problem } = reportRanges(network, caches)
    const ready = problem
      ? isFalse('Ready', problem.code, problem.message)
      : missing.length > 0
        ? isFalse('Ready', 'Missing', `not on ${missing.slice(0, 10).join(', ')}`)
        : attachments.some(({ state }) => state === 'Available')
          ? isTrue(
              'Ready',
              'Available',
              `on ${attachments.filter(({ state }) => state === 'Available').length} hypervisors${unfiltered(attachments)}`,
            )
          : isUnknown('Ready', 'NotTried', 'no hypervisor that it names is connected')
    await writeStatus(
      client,
      networks,
      network,
      { attachments, ...(addresses ? { addresses } : {}) },
      summarize(ready),
      {
        now: new Date(clock.now()).toISOString(),
        signal,
      },
    )
    return { requeueAfter: missing.length > 0 ? lookForMissingAfter : lookAgainAfter }
  }

  async #look(network: ReadObject<Network>, hypervisor: string, signal: AbortSignal): Promise<Attachment | undefined> {
    const attachment = attachmentOn(network, hypervisor)
    if (!attachment) return undefined
    const known = network.status?.attachments?.find((attached) => attached.hypervisor === hypervisor)
    if (known && isUntried(hypervisor, this.#dependencies)) return known
    const host = this.#dependencies.hosts.get(hypervisor)
    if (!host.connected) return { hypervisor, state: 'Unknown' }
    const antiSpoofing = filtering(network, host.session.information)
    try {
      return {
        hypervisor,
        antiSpoofing,
        state: (await host.session.networkExists(attachment, { signal })) ? 'Available' : 'Missing',
      }
    } catch {
      return { hypervisor, state: 'Unknown' }
    }
  }
}
