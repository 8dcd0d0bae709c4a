/** Status and conditions, for views that are hard to bring about: what passes bring about is in reconciler.test.ts. */
import { describe, expect, it } from '@jest/globals'
import type { VirtualMachine } from '../../api/index.ts'
import { type ObservedMachine, volumeNames } from '../../hypervisor/port.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { Caches } from '../shared/caches.ts'
import { aMachine, aPool, conditionTypes, digest, readyOf } from '../testing/lab.ts'
import { desiredOf } from './desired.ts'
import { diskFacts } from './disk-facts.ts'
import type { HostObservation, Problem, Step } from './model.ts'
import { statusOf } from './status.ts'
import type { View } from './view.ts'

const now = '2026-02-03T04:05:06.789Z'
const earlier = '2026-01-01T00:00:00Z'
const uid = 'u-1'
const macAddress = '52:54:00:00:00:01'
const interfaceSpec = { name: 'eth0', macAddress, attachment: { bridge: 'br0' } }
const nothing: Step = { do: 'Nothing' }
const bound = { phase: 'Bound', consumerRef: { uid, name: 'web', namespace: 'team', since: earlier } }
const recorded = {
  slot: 's1',
  hypervisor: 'kvm1',
  disks: [{ name: 'root', storagePool: 'default', volume: volumeNames.disk(uid, 'root'), state: 'Ready' }],
}
const on = {
  power: 'Running',
  parked: false,
  transient: false,
  id: uid,
  tag: { slot: 's1' },
  cpus: 1,
  memory: 2 ** 30,
  disks: [],
  interfaces: [{ ...interfaceSpec, attached: true, defined: true }],
} as unknown as ObservedMachine
const seen = (machine: ObservedMachine | undefined): HostObservation => ({
  reachable: true,
  observation: {
    ...(machine ? { machine } : {}),
    volumes: [{ pool: 'default', name: volumeNames.disk(uid, 'root'), capacity: 1, allocation: 1 }],
    pools: ['default'],
  },
})

interface Given {
  readonly spec?: object
  readonly status?: object
  readonly slot?: object
  readonly host?: HostObservation
  readonly addresses?: readonly string[]
  readonly deleting?: boolean
  readonly more?: Partial<View>
}

function viewOf({ spec = {}, status, slot, host = seen(on), addresses = [], deleting, more = {} }: Given): View {
  const metadata = { uid, resourceVersion: '1', generation: 3, ...(deleting ? { deletionTimestamp: earlier } : {}) }
  const made = aMachine('web', spec, metadata)
  const vm = (status ? { ...made, status } : made) as ReadObject<VirtualMachine>
  const slots = slot ? [{ metadata: { name: 's1' }, spec: { hypervisor: 'kvm1' }, status: slot } as never] : []
  const kind = 'ClusterImage' as const
  const resolved = {
    size: { value: { cpus: 1, memory: 2 ** 30 } },
    image: {
      value: {
        kind,
        name: 'debian',
        uid: 'i',
        digest,
        format: 'qcow2' as const,
        virtualSize: 1,
        architecture: 'x86_64',
      },
    },
    interfaces: { value: [{ name: 'eth0', network: 'lan', macAddress }] },
    rootCapacity: { value: 2 ** 31 },
    dataDisks: new Map(),
  }
  const caches = { storagePools: { get: () => aPool(), byIndex: () => [aPool()] } } as unknown as Caches
  const observation = host.reachable ? { observation: host.observation } : {}
  return {
    vm,
    claimed: slots,
    desired: desiredOf(vm, slots),
    observed: {
      hosts: new Map([['kvm1', host]]),
      disks: diskFacts(vm, { caches, resolved, hypervisor: 'kvm1', attempts: () => ({}), ...observation }),
      imagePlaced: true,
      ...(status ? { interfaces: [{ name: 'eth0', macAddress, network: 'lan', spec: interfaceSpec }] } : {}),
      settled: true,
      startDelayed: false,
      shutdown: { askedLately: false, timedOut: false },
    },
    bootstrap: {},
    leases: { interfaces: [], missing: [] },
    resolved,
    interfaces: [
      { macAddress, addresses: addresses.map((address) => ({ address, prefix: 24, source: 'Lease' as const })) },
    ],
    settlesIn: 0,
    startsIn: 0,
    starts: 0,
    ...more,
  }
}
const statusFor = (given: Given, step: Step = nothing, problem?: Problem) => statusOf(viewOf(given), step, problem, now)
const ready = (given: Given, step?: Step, problem?: Problem) => {
  const status = statusFor(given, step, problem)
  return readyOf({ status })
}
const running = { status: { ...recorded, startTime: earlier, firstBootTime: earlier }, slot: bound }

describe('Ready is True only when what is declared is so', () => {
  it.each<[string, Given, string]>([
    ['it runs under its claim', running, 'True Running'],
    ['it runs, but that was not recorded yet', { status: recorded, slot: bound }, 'False Starting'],
    ['it runs without a claim', { ...running, slot: undefined as never }, 'False Starting'],
    [
      'it runs, and its slot is being given back',
      { ...running, slot: { ...bound, phase: 'Releasing' } },
      'False Starting',
    ],
    ['it is off', { ...running, host: seen({ ...on, power: 'Stopped' }) }, 'False Starting'],
    ['it is paused', { ...running, host: seen({ ...on, power: 'Paused' }) }, 'False Starting'],
    ['Stopped is declared, and it runs', { ...running, spec: { powerState: 'Stopped' } }, 'False Stopping'],
    [
      'Stopped is declared, it is off and holds nothing',
      { spec: { powerState: 'Stopped' }, status: { hypervisor: 'kvm1' }, host: seen({ ...on, power: 'Stopped' }) },
      'True Stopped',
    ],
    [
      'Stopped is declared, it is off and holds its slot still',
      { ...running, spec: { powerState: 'Stopped' }, host: seen({ ...on, power: 'Stopped' }) },
      'False Stopping',
    ],
    ['never made, and not wanted', { spec: { powerState: 'Stopped' } }, 'True Stopped'],
    ['it is being deleted, though it runs', { ...running, deleting: true }, 'False Deleting'],
  ])('%s', (_, given, expected) => {
    expect(ready(given)).toBe(expected)
  })
})

describe('kstatus: Reconciling and Stalled are there only while so, and never both', () => {
  it.each<[string, Problem['code'] | undefined, string[]]>([
    ['all is well', undefined, []],
    ['time or another object must pass', 'WaitingForSlot', ['Reconciling']],
    ['the owner must act', 'GuestRefusesShutdown', ['Stalled']],
    ['an administrator must act', 'StorageFull', ['Stalled']],
    ['it passes', 'HypervisorUnreachable', ['Reconciling']],
    ['the effect is not known', 'CallTimedOut', ['Reconciling']],
  ])('%s', (_, code, expected) => {
    const status = statusFor(running, nothing, code && { code, message: 'why' })
    expect(conditionTypes({ status }).filter((type) => type === 'Reconciling' || type === 'Stalled')).toEqual(expected)
    expect(status.conditions?.every(({ observedGeneration }) => observedGeneration === 3)).toBe(true)
  })

  it.each([
    ['WaitingForImage', 'ImageReady', 'False'],
    ['DiskMissing', 'DisksReady', 'False'],
    ['NetworkNotFound', 'NetworkReady', 'False'],
    ['SecretNotFound', 'BootstrapReady', 'False'],
    ['HypervisorUnreachable', 'PowerStateSynced', 'Unknown'],
  ] as const)('%s shows in %s', (code, type, value) => {
    const status = statusFor(running, nothing, { code, message: 'why' })
    expect(status.conditions?.find((condition) => condition.type === type)).toMatchObject({
      status: value,
      reason: code,
    })
  })

  it('tells what keeps a machine from being deleted', () => {
    const status = statusFor({ ...running, deleting: true }, nothing, { code: 'ForeignObject', message: 'why' })
    expect(conditionTypes({ status })).toContain('DeletionBlocked')
    expect(conditionTypes({ status: statusFor(running) })).not.toContain('DeletionBlocked')
  })
})

describe('marks', () => {
  it('a run that was seen', () => {
    const status = statusFor({ status: recorded, slot: bound }, { do: 'MarkRunning' })
    expect(status).toMatchObject({ startTime: now, firstBootTime: now })
  })

  it('the first boot is told once', () => {
    const again = { status: { ...recorded, firstBootTime: earlier }, slot: bound }
    expect(statusFor(again, { do: 'MarkRunning' })).toMatchObject({ startTime: now, firstBootTime: earlier })
  })

  it.each<[string, Step]>([
    ['a guest that halted itself', { do: 'MarkStopped', by: 'Guest', stays: true }],
    ['a record that is cleared', { do: 'ClearRecord' }],
    ['a new record', { do: 'Record', slot: 's2', hypervisor: 'kvm1', pool: 'default' }],
  ])('no run is seen any more under %s', (_, step) => {
    expect(statusFor(running, step)).not.toHaveProperty('startTime')
  })

  it('who stopped it', () => {
    const stopping = { ...running, spec: { powerState: 'Stopped' } }
    expect(statusFor(running, { do: 'MarkStopped', by: 'Guest', stays: true }).lastStop).toEqual({
      by: 'Guest',
      time: now,
      generation: 3,
      restartToken: '',
    })
    expect(statusFor(stopping, { do: 'ClearRecord' }).lastStop).toMatchObject({ by: 'Berth' })
  })

  it('the guest’s own wish holds until the user speaks', () => {
    const told = { by: 'Guest', time: earlier, generation: 2 }
    const lastStop = { ...told, restartToken: '' }
    const status = { hypervisor: 'kvm1', lastStop }
    const off = seen({ ...on, power: 'Stopped' })
    expect(statusFor({ status, host: off }).lastStop).toEqual(lastStop)
    expect(statusFor({ status, host: off, spec: { powerState: 'Stopped' } }).lastStop).toEqual(told)
    const record: Step = { do: 'Record', slot: 's2', hypervisor: 'kvm1', pool: 'default' }
    expect(statusFor({ status, host: off, spec: { restart: { token: 'new' } } }, record)).toMatchObject({
      lastStop: told,
      restart: { token: 'new', time: now },
    })
  })

  it('a restart is under way until the machine is off for it, and is served then', () => {
    const restart = { token: 'today', mode: 'Cold' } as const
    const begun = statusFor({ ...running, spec: { restart } }, { do: 'BeginRestart', restart })
    expect(begun).toMatchObject({ restarting: { ...restart, since: now }, startTime: earlier })
    expect(begun).not.toHaveProperty('restart')
    const stopped: Given = { ...running, spec: { restart }, status: begun, host: seen({ ...on, power: 'Stopped' }) }
    const served = statusFor(stopped, { do: 'MarkStopped', by: 'Berth', stays: false })
    expect(served).toMatchObject({ restart: { token: 'today', time: now }, powerState: 'Stopped' })
    expect(served).not.toHaveProperty('restarting')
    expect(served).not.toHaveProperty('startTime')
    expect(served.lastStop).toEqual({ by: 'Berth', time: now, generation: 3 })
    // A stop that is declared meanwhile: the next start serves it.
    const cleared = statusFor({ ...stopped, spec: { restart, powerState: 'Stopped' } }, { do: 'ClearRecord' })
    expect(cleared).not.toHaveProperty('restarting')
    expect(cleared).not.toHaveProperty('restart')
  })

  it('where the disks are is kept when the slot goes', () => {
    const status = statusFor(running, { do: 'ClearRecord' })
    expect(status).toMatchObject({ hypervisor: 'kvm1', disks: recorded.disks })
    expect(status).not.toHaveProperty('slot')
  })
})

describe('what is seen', () => {
  it('IPv4 first, and nothing link-local, is the address to reach it by', () => {
    const status = statusFor({ ...running, addresses: ['fe80::1', '2001:db8::5', '169.254.1.1', '10.0.0.5'] })
    expect(status.primaryAddress).toBe('10.0.0.5')
    expect(statusFor({ ...running, addresses: ['fe80::1'] })).not.toHaveProperty('primaryAddress')
  })

  it('an address is not told while it is off: it may be another’s by now', () => {
    const given = { ...running, host: seen({ ...on, power: 'Stopped' }), more: { interfaces: [] } }
    const status = statusFor({ ...given, status: { ...running.status, primaryAddress: '10.0.0.5' } })
    expect(status).not.toHaveProperty('primaryAddress')
    expect(status.networkInterfaces).toMatchObject([{ state: 'Pending', addresses: [] }])
  })

  it('a Network that vanished takes no interface out of the status', () => {
    const networkInterfaces = [{ name: 'eth0', network: 'lan', macAddress, state: 'Attached', addresses: [] }]
    const given = { ...running, status: { ...running.status, networkInterfaces }, addresses: ['10.0.0.5'] }
    const problem = { code: 'NetworkNotFound', message: '' } as const
    const view = viewOf(given)
    const observed = { ...view.observed, interfaces: [{ name: 'eth0', macAddress, problem }] }
    const resolved = { ...view.resolved, interfaces: { problem } }
    const status = statusOf({ ...view, observed, resolved }, nothing, undefined, now)
    expect(status).toMatchObject({
      primaryAddress: '10.0.0.5',
      networkInterfaces: [{ network: 'lan', state: 'Attached' }],
    })
    expect(readyOf({ status })).toBe('False NetworkNotFound')
  })

  it('nothing is said to be missing on a host that cannot be seen', () => {
    const status = statusFor({ ...running, host: { reachable: false, message: 'away' } })
    expect(status).toMatchObject({ powerState: 'Unknown', disks: [{ state: 'Ready' }] })
  })

  it('a disk that was made and is not there any more', () => {
    const host = { reachable: true, observation: { machine: on, volumes: [], pools: ['default'] } } as const
    expect(statusFor({ ...running, host }).disks).toMatchObject([{ state: 'Missing' }])
    const creating = { ...recorded, disks: [{ ...recorded.disks[0], state: 'Creating' }] }
    expect(statusFor({ status: creating, slot: bound, host }).disks).toMatchObject([{ state: 'Creating' }])
  })

  it('how far its image is placed, while it waits for that', () => {
    const given = { status: recorded, slot: bound, host: seen(undefined), more: { placingPercent: 42 } }
    const status = statusFor(given, nothing, { code: 'WaitingForImage', message: '' })
    expect(status.progress).toMatchObject({ step: 'PlacingImage', percent: 42 })
    expect(statusFor({ ...running, more: { placingPercent: 42 } })).not.toHaveProperty('progress')
  })
})

it('is the same for the same: a pass that finds nothing new writes nothing', () => {
  const first = statusFor({ ...running, addresses: ['10.0.0.5'] })
  const again = statusFor({ ...running, status: first, addresses: ['10.0.0.5'] })
  expect(JSON.stringify(again)).toBe(JSON.stringify(first))
})
