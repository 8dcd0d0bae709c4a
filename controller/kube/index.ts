export { APIClient, type Guard, unguarded } from './client.ts'
export { type Credentials, loadCredentials } from './credentials.ts'
export { APIEventRecorder, type DropReason } from './events.ts'
export { ListWatchInformer } from './informer.ts'
export { LeaderElector } from './lease.ts'
export { NotingClient } from './noting-client.ts'
export { OverlayCache } from './overlay.ts'
export * from './port.ts'
export {
  type Event,
  events,
  type Lease,
  leases,
  type Namespace,
  namespaces,
  type Secret,
  secrets,
} from './resources.ts'
export { httpStatus } from './status.ts'
export { type SentRequest, Transport } from './transport.ts'
