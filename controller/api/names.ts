/** Names that Berth puts into Kubernetes. Nothing else may spell them out. */

export const group = 'berth.dev'
export const version = 'v1alpha1'
export const apiVersion = `${group}/${version}` as const

/** Every kind is in it: `kubectl get berth -A`. */
export const category = 'berth'

/** Field manager of the controller's server-side applies. */
export const fieldManager = 'berth'

export const labels = {
  hypervisor: 'berth.dev/hypervisor',
  host: 'berth.dev/host',
  architecture: 'berth.dev/architecture',
  driver: 'berth.dev/driver',
  slotSet: 'berth.dev/slot-set',
  managedBy: 'app.kubernetes.io/managed-by',
} as const

/** Value of {@link labels.managedBy} on what Berth makes. */
export const managedByBerth = 'berth'

export const annotations = {
  /** `"true"`: Berth leaves the object and its machine alone; deletion waits too. */
  paused: 'berth.dev/paused',
  description: 'berth.dev/description',
  /** A new value asks for one fresh look at the host. */
  reconcileAt: 'berth.dev/reconcile-at',
  /** On an Event: who asked. */
  actor: 'berth.dev/actor',
} as const

export const finalizers = {
  /** Something lies on a host or in the store. */
  cleanup: 'berth.dev/cleanup',
  /** Someone needs it: deletion waits. */
  inUse: 'berth.dev/in-use',
} as const
