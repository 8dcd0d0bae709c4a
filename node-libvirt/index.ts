export type { DomainCapabilitiesQuery, NodeInfo, NodeStatistics } from './connection/host.ts'
export {
  Connection,
  type ConnectionOptions,
  type KeepaliveOptions,
} from './connection.ts'
export * from './constants.ts'
export type { BlockInfo, BlockJobInfo, DiskError, Screenshot } from './domain/devices.ts'
export type { DomainInterface, DomainInterfaceAddress, GuestFileSystem, GuestTime } from './domain/guest.ts'
export type { DomainControlInfo, DomainJobInfo, InterfaceStats } from './domain/statistics.ts'
export { Domain, type DomainInfo, type VCPU } from './domain.ts'
export { ErrorCode, errorName } from './error-codes.ts'
export {
  type ConnectionErrorReason,
  LibvirtAbortError,
  LibvirtConnectionError,
  LibvirtError,
  LibvirtProtocolError,
  LibvirtTimeoutError,
} from './errors.ts'
export type { EventKind, EventListener, EventMap, Subscription } from './events.ts'
export { type DHCPLease, Network } from './network.ts'
export { NetworkFilter } from './network-filter.ts'
export { NodeDevice } from './node-device.ts'
export type { TypedParameters } from './protocol/typed-parameters.ts'
export type { SaslOptions } from './rpc/authenticate.ts'
export type { CallOptions, StreamOptions } from './rpc/caller.ts'
export type { SshOptions } from './rpc/ssh.ts'
export type { TlsOptions } from './rpc/tls.ts'
export { Secret } from './secret.ts'
export { DomainSnapshot } from './snapshot.ts'
export {
  StoragePool,
  type StoragePoolInfo,
  StorageVolume,
  type StorageVolumeInfo,
  type TransferOptions,
} from './storage.ts'
