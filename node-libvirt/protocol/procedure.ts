import { domain, nonnullString, uuid } from './types.ts'
import { type Codec, int, struct, uint } from './xdr.ts'

/** A procedure that we call, as libvirt's remote_protocol.x or qemu_protocol.x describes it. */
export interface Procedure<A, R> {
  readonly number: number
  readonly args: Codec<A>
  readonly ret: Codec<R>
}

export const procedure = <A, R>(number: number, args: Codec<A>, ret: Codec<R>): Procedure<A, R> => ({
  number,
  args,
  ret,
})

// What many procedures share.

export const flags = uint
export const xml = nonnullString
export const listArgs = struct({ need_results: int, flags })
export const nameArgs = struct({ name: nonnullString })
export const uuidArgs = struct({ uuid })
export const flagsArgs = struct({ flags })
export const xmlRet = struct({ xml })
export const domArgs = struct({ dom: domain })
export const domFlagsArgs = struct({ dom: domain, flags })
export const domRet = struct({ dom: domain })
export const persistentRet = struct({ persistent: int })
export const activeRet = struct({ active: int })
export const autostartRet = struct({ autostart: int })
