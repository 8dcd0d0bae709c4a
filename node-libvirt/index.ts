export {
  Connection,
  type ConnectionOptions,
  type DomainCapabilitiesQuery,
  type KeepaliveOptions,
  type NodeInfo,
} from './connection.ts'
export * from './constants.ts'
export { Domain, type DomainInfo, type DomainInterface, type DomainInterfaceAddress } from './domain.ts'
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
export type { CallOptions, StreamOptions } from './rpc/caller.ts'
export type { TlsOptions } from './rpc/transport.ts'
export {
  StoragePool,
  type StoragePoolInfo,
  StorageVolume,
  type StorageVolumeInfo,
  type TransferOptions,
} from './storage.ts'
