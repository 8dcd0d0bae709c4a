import { Program } from './message.ts'
import { connectionProcedures } from './procedures/connection.ts'
import { domainProcedures } from './procedures/domain.ts'
import { domainDeviceProcedures } from './procedures/domain-devices.ts'
import { domainGuestProcedures } from './procedures/domain-guest.ts'
import { eventProcedures } from './procedures/events.ts'
import { networkProcedures } from './procedures/network.ts'
import { nodeDeviceProcedures } from './procedures/node-device.ts'
import { qemuProcedures } from './procedures/qemu.ts'
import { secretProcedures } from './procedures/secret.ts'
import { snapshotProcedures } from './procedures/snapshot.ts'
import { statisticsProcedures } from './procedures/statistics.ts'
import { storageProcedures } from './procedures/storage.ts'
import type { Decoded } from './xdr.ts'

/**
 * The procedures that we call, under the names and with the numbers and fields that libvirt's remote_protocol.x gives
 * them (REMOTE_PROC_ and the remote_…_args and _ret structures; QEMU_PROC_ in qemu_protocol.x). Numbers are only ever
 * added there, so one table serves every version since 1.2.8 (2014); a server that lacks one answers NO_SUPPORT.
 * test/integration/libvirt/protocol.test.ts compares this table with the original.
 */
export const procedures = {
  ...connectionProcedures,
  ...domainProcedures,
  ...domainDeviceProcedures,
  ...domainGuestProcedures,
  ...statisticsProcedures,
  ...snapshotProcedures,
  ...storageProcedures,
  ...networkProcedures,
  ...nodeDeviceProcedures,
  ...secretProcedures,
  ...eventProcedures,
  ...qemuProcedures,
} as const

export type ProcedureName = keyof typeof procedures
export type Arguments<N extends ProcedureName> = Decoded<(typeof procedures)[N]['args']>
export type Result<N extends ProcedureName> = Decoded<(typeof procedures)[N]['ret']>

/** The program that a procedure belongs to. */
export const programOf = (name: ProcedureName): number => (name in qemuProcedures ? Program.QEMU : Program.REMOTE)

/** `REMOTE_AUTH_…`: what the server demands before `connect_open`. */
export const AuthType = { NONE: 0, SASL: 1, POLKIT: 2 } as const

/** Features of the server (virDrvFeature) that `connect_supports_feature` is asked for. */
export const Feature = { PROGRAM_KEEPALIVE: 10, REMOTE_EVENT_CALLBACK: 14 } as const
