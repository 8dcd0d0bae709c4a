/** Takes leases, and gives them back. To create an object of a name that is free is the lock. */
import { type AddressLease, addressLeases, formatAddress } from '../../api/index.ts'
import { BerthError, isBerthError } from '../../errors/index.ts'
import type { KubeClient, ReadObject } from '../../kube/port.ts'
import { candidates } from '../address-lease/choose.ts'
import { type Leased, leaseFor, leaseName } from '../address-lease/lease.ts'
import { rangesOf } from '../address-lease/ranges.ts'
import type { Caches } from '../shared/caches.ts'
import type { AddressedInterface } from './addressing.ts'
import { taken, type Wish } from './leases.ts'
import type { View } from './view.ts'

interface Means {
  readonly client: KubeClient
  readonly caches: Pick<Caches, 'addressLeases' | 'networks'>
}

/** A lease that goes is told by its watch; in case it is not. */
const lookAgainAfter = 60_000

/** All that the machine lacks. Rejects with AddressTaken, MACTaken or RangesFull. */
export async function leaseAddresses(view: View, means: Means, signal: AbortSignal): Promise<void> {
  for (const need of view.leases.missing) {
    const one = view.leases.interfaces.find(({ name }) => name === need.interface)
    if (!one) continue
    if ('family' in need) await give(need, one, view, means, signal)
    else await take(need, one, view, means, signal)
  }
}

/** Undefined: it is ours now. Else whose it is. */
async function create(
  leased: Leased,
  { vm }: View,
  { client }: Means,
  signal: AbortSignal,
): Promise<ReadObject<AddressLease> | undefined> {
  try {
    await client.create(addressLeases, leaseFor(vm, leased), { signal })
    return undefined
  } catch (error) {
    if (!isBerthError(error, 'Conflict')) throw error
    const there = await client.get(addressLeases, { name: leaseName(leased) }, { signal })
    // Gone again, or ours by an answer that was lost: the watch is about to tell.
    if (!there || there.spec.consumerRef.uid === vm.metadata.uid) throw error
    return there
  }
}

async function take(
  leased: Leased,
  one: AddressedInterface,
  view: View,
  means: Means,
  signal: AbortSignal,
): Promise<void> {
  const other = await create(leased, view, means, signal)
  if (!other) return
  const { code, message } = taken(leased, one, other, view.vm)
  throw new BerthError(code, message, { retryAfter: lookAgainAfter })
}

/** The first of its candidates that is nobody's. */
async function give(
  { network, family, interface: name }: Wish,
  one: AddressedInterface,
  view: View,
  means: Means,
  signal: AbortSignal,
): Promise<void> {
  const found = means.caches.networks.get(network)
  const ranges = found && rangesOf(found, family)
  if (!ranges) throw new BerthError('Conflict', `Network ${network} has changed`)
  const { metadata } = view.vm
  for (const address of candidates(ranges, `${metadata.namespace}/${metadata.name}/${name}`)) {
    const leased = { network, interface: name, address }
    if (means.caches.addressLeases.get(leaseName(leased))) continue
    if ((await create(leased, view, means, signal)) === undefined) return
  }
  throw new BerthError(
    'RangesFull',
    `${one.field}.ipv${family}: no address is left in the ranges of Network ${network} (${formatAddress({ family, value: ranges.subnet.first })}/${ranges.subnet.prefix}): add a range there, or delete machines that are not needed`,
    { retryAfter: lookAgainAfter },
  )
}

/** When the machine is gone from its host, and no call can still be on its way. */
export async function giveBackAddresses({ vm }: View, { client, caches }: Means, signal: AbortSignal): Promise<void> {
  for (const { metadata } of caches.addressLeases.byIndex('consumer', vm.metadata.uid))
    await client.delete(addressLeases, { name: metadata.name }, { uid: metadata.uid }, { signal })
}
