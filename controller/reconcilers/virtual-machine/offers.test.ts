import { beforeEach, describe, expect, it } from '@jest/globals'
import { aHypervisor, aSlot, condition, GiB, Lab } from '../testing/lab.ts'
import { slotOffers } from './offers.ts'

let lab: Lab

beforeEach(() => {
  lab = new Lab()
})

const consumerRef = { namespace: 'team', name: 'web', uid: 'u', since: '' }
const host = (memory: string, unmanaged: object | undefined) => {
  const { status, ...rest } = aHypervisor()
  lab.kube.put({ ...rest, status: { ...status, capacity: { cpus: 8, memory }, unmanaged } } as never)
}
/** By name, whether it is held. */
const putSlots = (slots: Readonly<Record<string, object>>) => {
  for (const [name, status] of Object.entries(slots)) lab.kube.put(aSlot(name, { memory: '4Gi' }, status))
}
const spare = () => slotOffers(lab.caches)[0]?.hypervisor.spareMemory

describe('what machines without a slot leave for one more', () => {
  const free = { phase: 'Free' }
  const bound = { phase: 'Bound', consumerRef }
  const releasing = { phase: 'Releasing', consumerRef }
  const occupied = { phase: 'Unavailable', conditions: [condition('Occupied')] }

  it.each<[string, string, string | undefined, Readonly<Record<string, object>>, number | undefined]>([
    ['none runs: no limit but the slots', '8Gi', '0', { a: free }, undefined],
    ['nothing is known of them: no limit', '8Gi', undefined, { a: free }, undefined],
    ['the host less what they have', '16Gi', '3Gi', { a: free, b: free }, 13 * GiB],
    ['and less the slots that are held, whole', '16Gi', '3Gi', { a: bound, b: releasing, c: free }, 5 * GiB],
    ['and less what runs under a slot without a claim', '16Gi', '3Gi', { a: occupied, b: free }, 9 * GiB],
    [
      'more slots than memory: what the slots have, less what they have',
      '8Gi',
      '3Gi',
      { a: bound, b: free, c: free },
      5 * GiB,
    ],
    ['they have more than there is', '8Gi', '9Gi', { a: free }, -1 * GiB],
  ])('%s', (_, memory, beside, slots, expected) => {
    host(memory, beside === undefined ? undefined : { count: 1, memory: beside })
    putSlots(slots)
    expect(spare()).toBe(expected)
  })

  it('follows the slots as they are claimed', () => {
    host('16Gi', { count: 1, memory: '1Gi' })
    putSlots({ a: free, b: free })
    expect(spare()).toBe(15 * GiB)
    lab.kube.put(aSlot('a', { memory: '4Gi' }, bound))
    expect(spare()).toBe(11 * GiB)
  })
})
