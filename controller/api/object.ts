/**
 * Kubernetes objects as the API sees them. Structurally the same as in `kube/port.ts`, which this folder may not
 * import: it is at the bottom of the house.
 */
import type { apiVersion } from './names.ts'

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly finalizers?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly OwnerReference[]
}

/** An object of group berth.dev as the API server returns it: defaults are filled in. */
export interface BerthObject<Kind extends string, Spec, Status = never> {
  readonly apiVersion: typeof apiVersion
  readonly kind: Kind
  readonly metadata: ObjectMeta
  readonly spec: Spec
  readonly status?: Status
}

/** The same as someone writes it: what has a default may be left out. Every read object is also a written one. */
export interface BerthManifest<Kind extends string, Spec> {
  readonly apiVersion: typeof apiVersion
  readonly kind: Kind
  readonly metadata: ObjectMeta
  readonly spec: Spec
}

/** A kind as the API server addresses it; assignable to `Resource<T>` of `kube/port.ts`. */
export interface ResourceOf<T> {
  readonly apiVersion: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
  /** Carries the type; never set. */
  readonly __type?: T
}
