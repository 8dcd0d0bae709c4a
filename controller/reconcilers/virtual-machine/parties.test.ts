import { describe, expect, it } from '@jest/globals'
import { aMachine, Lab } from '../testing/lab.ts'
import { ClaimsUnderWay } from './claims.ts'
import { Parties } from './parties.ts'

const apart = (key: string, value: string) => ({
  placement: { antiAffinity: [{ selector: { matchExpressions: [{ key, operator: 'In', values: [value] }] } }] },
})

function kindsOf(lab: Lab, ...names: string[]) {
  const parties = new Parties(lab.caches, new ClaimsUnderWay(), 0)
  return names.map((name) => parties.of(lab.machine(name))?.kind)
}

describe('who is alike to anti-affinity', () => {
  it('labels that no term speaks of do not matter, or each of a thousand replicas would be decided on by itself', () => {
    const lab = new Lab()
    for (const name of ['a', 'b']) {
      lab.kube.put(aMachine(name, apart('app', 'web'), { labels: { app: 'web', ordinal: name } }))
    }
    lab.kube.put(aMachine('c', apart('app', 'web'), { labels: { app: 'db' } }))
    const [a, b, c] = kindsOf(lab, 'a', 'b', 'c')
    expect(a).toBe(b)
    expect(c).not.toBe(a)
  })

  it('a label matters from the moment that a term speaks of it, to machines that have not changed', () => {
    const lab = new Lab()
    for (const name of ['a', 'b']) lab.kube.put(aMachine(name, {}, { labels: { ordinal: name } }))
    expect(kindsOf(lab, 'a', 'b')).toEqual([undefined, undefined])
    lab.kube.put(aMachine('c', apart('app', 'web')))
    const [a, b] = kindsOf(lab, 'a', 'b')
    expect(a).toBe(b)
    lab.kube.put(aMachine('c', apart('ordinal', 'b')))
    const [first, second] = kindsOf(lab, 'a', 'b')
    expect(first).not.toBe(second)
  })
})
