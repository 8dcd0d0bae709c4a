import type { Slot, VirtualMachine } from '../../api/index.ts'
import type { Hosts } from '../../hypervisor/hosts.ts'
import type { EventRecorder, KubeClient, ReadObject } from '../../kube/port.ts'
import type { Clock } from '../../runtime/port.ts'
import type { Settling } from '../../runtime/settling.ts'
import type { Caches } from '../shared/caches.ts'

export interface Dependencies {
  readonly client: KubeClient
  readonly caches: Caches
  readonly hosts: Hosts
  readonly settling: Settling
  readonly recorder: EventRecorder
  readonly clock: Clock
  /** The longest that a host itself waits for a job, ms: part of the T rule. */
  readonly hostJobWait: number
  /** Uid of the kube-system namespace: which cluster a tag on a host belongs to. */
  readonly cluster: string
  /** Remembers the answers to our own writes until the watch has caught up. */
  readonly noteVirtualMachine: (vm: ReadObject<VirtualMachine>) => void
  readonly noteSlot: (slot: ReadObject<Slot>) => void
  /** The object of that key was seen to be gone, by a live read. */
  readonly forgetVirtualMachine: (key: string) => void
}

/**
 * When a guest was asked to shut down, by instance id. In memory only: after a crash a guest gets its full time again.
 */
export class ShutdownRequests {
  readonly #requests = new Map<string, { readonly first: number; last: number }>()

  asked(instanceID: string, now: number): void {
    const request = this.#requests.get(instanceID)
    if (request) request.last = now
    else this.#requests.set(instanceID, { first: now, last: now })
  }

  /** Milliseconds since it was asked first and last; undefined: not asked. */
  since(instanceID: string, now: number): { readonly first: number; readonly last: number } | undefined {
    const request = this.#requests.get(instanceID)
    return request && { first: now - request.first, last: now - request.last }
  }

  forget(instanceID: string): void {
    this.#requests.delete(instanceID)
  }
}
