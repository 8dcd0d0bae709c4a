import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { byTurn } from '../../placement/index.ts'
import { aMachine, Lab } from '../testing/lab.ts'
import { turnOf } from './queue.ts'

const minute = 60_000
const made = Date.parse('2026-01-01T00:00:00Z')
const conditions = [{ type: 'Placed', status: 'True', reason: 'NotNeeded', message: '', observedGeneration: 1 }]

const machine = (name: string, spec: object, status?: object) => {
  const lab = new Lab()
  lab.kube.put(aMachine(name, spec, { creationTimestamp: '2026-01-01T00:00:00Z' }))
  const vm = lab.machine(name)
  return status === undefined ? vm : ({ ...vm, status } as unknown as typeof vm)
}
const queue = (since: string) => ({ conditions, queue: { position: 1, length: 1, since } })

describe('since when a machine waits', () => {
  it.each([
    ['new, since it was made', undefined, '2026-01-01T00:00:00Z'],
    ['as its status says, whatever else has changed', queue('2026-01-01T00:20:00Z'), '2026-01-01T00:20:00Z'],
    ['off until now, from now on: age is no merit', { conditions }, '2026-01-01T01:00:00Z'],
  ])('%s', (_, status, since) => {
    expect(turnOf(machine('web', {}, status), made + 60 * minute).since).toBe(since)
  })
})

describe('effective priority', () => {
  const priority = (waited: number, placement: object = {}) =>
    turnOf(machine('web', { placement }), made + waited).priority

  it.each([
    [0, {}, 0],
    [5 * minute - 1, {}, 0],
    [5 * minute, {}, 1],
    [16 * minute, { priority: -2 }, 1],
    [0, { priority: 100 }, 100],
    // A clock that was set back.
    [-minute, { priority: 7 }, 7],
  ])('after %d ms of waiting with %j it is %d', (waited, placement, expected) => {
    expect(priority(waited, placement)).toBe(expected)
  })

  it('nothing starves: whoever waits is in front of all that begin to wait late enough, however urgent', () => {
    const priorities = fc.integer({ min: -100, max: 100 })
    fc.assert(
      fc.property(priorities, priorities, fc.integer({ min: 0, max: 10_000 }), (low, high, more) => {
        const now = made + (5 * (Math.max(0, high - low) + 1) + more) * minute
        const waiting = machine('old', { placement: { priority: low } })
        const arrived = machine('new', { placement: { priority: high } }, { conditions })
        expect(byTurn(turnOf(waiting, now), turnOf(arrived, now))).toBeLessThan(0)
      }),
      { numRuns: 50 },
    )
  })
})
