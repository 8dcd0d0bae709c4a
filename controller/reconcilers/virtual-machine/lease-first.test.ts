import { describe, expect, it, test } from '@jest/globals'
import { leaseFirst } from './lease-first.ts'
import { type Desired, needsLiveRead, type Observed, type Step } from './model.ts'

const placed = { hypervisor: 'h1' } as Desired
const lacking = (leases?: Observed['leases']) => ({ leases }) as Observed
const taken = { code: 'AddressTaken', message: '' } as const
const define: Step = { do: 'Define', slot: 's1' }
const start: Step = { do: 'Start', paused: false }
const restart: Step = { do: 'BeginRestart', restart: { token: 't', mode: 'Warm' } }
const nothing: Step = { do: 'Nothing' }

describe('leases', () => {
  test.each<[string, Step, Desired, Observed['leases'], Step]>([
    ['before it is defined', define, placed, 'Missing', { do: 'LeaseAddresses' }],
    ['before it is started', start, placed, 'Missing', { do: 'LeaseAddresses' }],
    ['of a machine at rest, which an earlier version made', nothing, placed, 'Missing', { do: 'LeaseAddresses' }],
    ['of a machine that was never placed: none', nothing, {} as Desired, 'Missing', nothing],
    ['that another has: it is not defined', define, placed, taken, { do: 'Wait', problem: taken }],
    ['that another has: it is not started', start, placed, taken, { do: 'Wait', problem: taken }],
    ['that another has: it is not stopped for a restart', restart, placed, taken, { do: 'Wait', problem: taken }],
    ['that another has, of a machine that runs: it is told', nothing, placed, taken, { do: 'Wait', problem: taken }],
  ])('%s', (_, step, desired, leases, expected) => {
    expect(leaseFirst(step, desired, lacking(leases))).toEqual(expected)
  })

  test.each<Step>([
    { do: 'CreateDisk' },
    { do: 'PowerOff' },
    { do: 'ShutDown' },
    { do: 'Unpause' },
    { do: 'Drain', slot: 's1' },
    { do: 'Release', slot: 's1' },
    { do: 'ClearRecord' },
  ])('keep no machine from $do', (step) => {
    expect(leaseFirst(step, placed, lacking('Missing'))).toEqual(step)
    expect(leaseFirst(step, placed, lacking(taken))).toEqual(step)
  })

  it('that are held change nothing', () => {
    for (const step of [define, start, nothing]) expect(leaseFirst(step, placed, lacking())).toBe(step)
  })

  it('are taken on what the cache has: the name is the lock', () => {
    expect(needsLiveRead({ do: 'LeaseAddresses' })).toBe(false)
  })
})
