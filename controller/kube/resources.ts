/** The built-in kinds that Berth reads or writes. */
import type { KubeObject, Resource } from './port.ts'

export interface Secret extends KubeObject {
  readonly type?: string
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>
}

export interface Namespace extends KubeObject {
  readonly status?: { readonly phase?: 'Active' | 'Terminating' }
}

export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly acquireTime?: string
    readonly renewTime?: string
    readonly leaseTransitions?: number
  }
}

/** events.k8s.io/v1. */
export interface Event extends KubeObject {
  readonly eventTime: string
  readonly reportingController: string
  readonly reportingInstance: string
  readonly action: string
  readonly reason: string
  readonly regarding: Readonly<Record<string, string | undefined>>
  readonly related?: Readonly<Record<string, string | undefined>>
  readonly note: string
  readonly type: 'Normal' | 'Warning'
  readonly series?: { readonly count: number; readonly lastObservedTime: string }
}

/** Secrets are read by `get` alone; never listed or watched. */
export const secrets: Resource<Secret> = { apiVersion: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true }
export const namespaces: Resource<Namespace> = {
  apiVersion: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  namespaced: false,
}
export const leases: Resource<Lease> = {
  apiVersion: 'coordination.k8s.io/v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
}
export const events: Resource<Event> = {
  apiVersion: 'events.k8s.io/v1',
  kind: 'Event',
  plural: 'events',
  namespaced: true,
}
