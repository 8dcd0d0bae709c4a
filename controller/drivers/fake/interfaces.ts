/** The network interfaces of a fake machine: of what runs, and of what the next start has. Pure. */
import { isDeepStrictEqual } from 'node:util'
import { BerthError } from '../../errors/index.ts'
import type { InterfaceSpec, MachineInterface } from '../../hypervisor/port.ts'

/** Without a name: somebody else attached it. */
export type FakeInterface = Omit<InterfaceSpec, 'name'> & { readonly name?: string }

const sameMAC =
  (macAddress: string) =>
  (one: Pick<FakeInterface, 'macAddress'>): boolean =>
    one.macAddress.toLowerCase() === macAddress.toLowerCase()

/** `live` is empty while the machine is off. */
export function observedInterfaces(
  live: readonly FakeInterface[],
  defined: readonly FakeInterface[],
): MachineInterface[] {
  const later = defined.filter(({ macAddress }) => !live.some(sameMAC(macAddress)))
  return [...live, ...later].map((one) => ({
    ...one,
    macAddress: one.macAddress.toLowerCase(),
    attached: live.includes(one),
    defined: later.includes(one) || defined.some((other) => isDeepStrictEqual(other, one)),
  }))
}

/** The same list where it is there as wanted; else in place of the one with its MAC address, or at the end. */
export function withInterface(list: readonly FakeInterface[], wanted: InterfaceSpec): readonly FakeInterface[] {
  const index = list.findIndex(sameMAC(wanted.macAddress))
  if (index === -1) return [...list, wanted]
  return isDeepStrictEqual(list[index], wanted) ? list : list.with(index, wanted)
}

/** The same list where it has none of that MAC address. */
export function withoutInterface(list: readonly FakeInterface[], macAddress: string): readonly FakeInterface[] {
  return list.some(sameMAC(macAddress)) ? list.filter((one) => !sameMAC(macAddress)(one)) : list
}

export function requireOwnInterface(lists: readonly (readonly FakeInterface[])[], macAddress: string): void {
  const foreign = lists.flat().some((one) => sameMAC(macAddress)(one) && one.name === undefined)
  if (foreign) throw new BerthError('ForeignObject', `Interface ${macAddress} was attached on the host: not touched.`)
}
