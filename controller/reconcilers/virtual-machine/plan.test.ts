/** Every line of the claim protocol, as a table. How the lines work together: plan.property.test.ts. */
import { describe, expect, it } from '@jest/globals'
import { type MachineObservation, type ObservedMachine, volumeNames } from '../../hypervisor/port.ts'
import { type Claim, type Desired, type HostObservation, needsLiveRead, type Observed, type Step } from './model.ts'
import { plan, wantsToRun } from './plan.ts'

const id = 'u-1'
const bound: Claim = { slot: 's1', hypervisor: 'h1', phase: 'Bound', occupied: false }
const releasing: Claim = { ...bound, phase: 'Releasing' }
const elsewhere: Claim = { slot: 's9', hypervisor: 'h9', phase: 'Bound', occupied: false }

/** As it is before anything is done. */
const fresh: Desired = {
  instanceID: id,
  finalizer: true,
  deleting: false,
  powerState: 'Running',
  shutdownMode: 'TrySoft',
  claims: [],
  runSeen: false,
  onGuestShutdown: 'Stop',
  onCrash: 'Restart',
  saving: false,
  seenThere: false,
  diskMade: false,
  retainedDisks: [],
}
/** Claimed and recorded. */
const placed: Desired = { ...fresh, claims: [bound], recordedSlot: 's1', hypervisor: 'h1' }
const running: Desired = { ...placed, runSeen: true, diskMade: true }
const restart = { token: 'today', mode: 'Warm' } as const
const restarting: Desired = { ...running, restarting: restart }
const toSuspend: Desired = { ...running, powerState: 'Suspended' }
const toPause: Desired = { ...running, powerState: 'Paused' }
const stopping: Desired = { ...running, powerState: 'Stopped', claims: [releasing] }
const stopped: Desired = { ...fresh, powerState: 'Stopped', hypervisor: 'h1', diskMade: true }
const deleting: Desired = { ...running, deleting: true, claims: [releasing] }

const tag = {
  schema: 1,
  cluster: 'c',
  namespace: 'n',
  name: 'm',
  uid: id,
  instanceID: id,
  owner: '',
  slot: 's1',
} as const
const on: ObservedMachine = {
  tag,
  id,
  hostName: 'n_m',
  power: 'Running',
  parked: false,
  transient: false,
  cpus: 1,
  memory: 1,
  disks: [],
  interfaces: [],
}
const paused: ObservedMachine = { ...on, power: 'Paused', pauseReason: 'Asked' }
const suspended: ObservedMachine = { ...on, power: 'Suspended' }
const off: ObservedMachine = { ...on, power: 'Stopped' }
const parked: ObservedMachine = { ...off, parked: true }
const root = { pool: 'pool', name: volumeNames.disk(id, 'root'), capacity: 1, allocation: 1 }
const seed = { ...root, name: volumeNames.seed(id) }

const away: HostObservation = { reachable: false, message: 'h1 does not answer' }
const seen = (machine?: ObservedMachine, more: Partial<MachineObservation> = {}): HostObservation => ({
  reachable: true,
  observation: { ...(machine ? { machine } : {}), volumes: [root], pools: ['pool'], ...more },
})
const observed = (
  h1: HostObservation,
  more: Partial<Observed> = {},
  h9: HostObservation = seen(undefined),
): Observed => ({
  hosts: new Map([
    ['h1', h1],
    ['h9', h9],
  ]),
  rootPool: 'pool',
  imagePlaced: true,
  settled: true,
  startDelayed: false,
  shutdown: { askedLately: false, timedOut: false },
  ...more,
})
const nothing = seen(undefined, { volumes: [] })
const problem = { code: 'SecretNotFound', message: 'there is no Secret' } as const

interface Line {
  readonly reason: string
  readonly desired: Desired
  readonly observed: Observed
  /** The step, or the code of the problem that is waited for. */
  readonly step: Step | string
}

const retained: Desired = { ...running, deleting: true, retained: true }
const left = (machine: ObservedMachine) =>
  seen(undefined, { foreign: 'it was released', released: { ...machine, tag: { ...tag, released: true } } })
const watched: Desired = { ...running, reportsDrift: true }

const lines: Record<string, Line[]> = {
  'deletion that leaves the machine': [
    {
      reason: 'let go of first of all, under whatever claim',
      desired: retained,
      observed: observed(seen(on)),
      step: { do: 'LetGo' },
    },
    {
      reason: 'what was sent before could still arrive, and change what is not ours',
      desired: retained,
      observed: observed(seen(on), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: 'a saved memory is left as it is, also under Soft and with disks that are retained',
      desired: { ...retained, shutdownMode: 'Soft', retainedDisks: ['root'] },
      observed: observed(seen(suspended)),
      step: { do: 'LetGo' },
    },
    {
      reason: 'half of it was done: people could not start it',
      desired: retained,
      observed: observed(left(parked)),
      step: { do: 'LetGo' },
    },
    {
      reason: 'its slot goes the way of all claims',
      desired: retained,
      observed: observed(left(on)),
      step: { do: 'Drain', slot: 's1' },
    },
    {
      reason: 'it is given back though the machine runs: it is no machine of ours',
      desired: { ...retained, claims: [releasing] },
      observed: observed(left(on)),
      step: { do: 'Release', slot: 's1' },
    },
    {
      reason: 'not while a call may arrive',
      desired: { ...retained, claims: [releasing] },
      observed: observed(left(on), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: 'disks stay, whatever their own policy',
      desired: { ...retained, claims: [] },
      observed: observed(left(off), { poolProblem: { code: 'PoolInactive', message: '' } }),
      step: { do: 'RemoveFinalizer' },
    },
    {
      reason: 'the object stays while the answer is not there',
      desired: { ...retained, claims: [] },
      observed: observed(left(off), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: 'once let go of, a policy that is changed comes too late',
      desired: { ...deleting, claims: [] },
      observed: observed(left(off)),
      step: { do: 'RemoveFinalizer' },
    },
    {
      reason: 'what others left under our id is not let go of',
      desired: retained,
      observed: observed(seen(undefined, { foreign: 'it has no tag' })),
      step: 'ForeignObject',
    },
    {
      reason: 'it waits for a host that is away',
      desired: retained,
      observed: observed(away),
      step: 'HypervisorUnreachable',
    },
    {
      reason: 'an object that is not deleted does nothing to what was let go of',
      desired: running,
      observed: observed(left(on)),
      step: 'ForeignObject',
    },
  ],
  'the end of a life-time': [
    {
      reason: 'the object is deleted, and then as any other',
      desired: { ...running, powerState: 'Stopped', expired: 'Delete' },
      observed: observed(seen(on)),
      step: { do: 'Expire' },
    },
    {
      reason: 'where it is protected it is stopped',
      desired: { ...running, powerState: 'Stopped', expired: 'Stop' },
      observed: observed(seen(on)),
      step: { do: 'Drain', slot: 's1' },
    },
    {
      reason: 'and says why it stays off',
      desired: { ...stopped, expired: 'Stop' },
      observed: observed(seen(parked)),
      step: 'Expired',
    },
    {
      reason: 'a deletion is a deletion',
      desired: { ...deleting, expired: 'Stop' },
      observed: observed(seen(parked)),
      step: { do: 'Undefine' },
    },
  ],
  'drift that is reported': [
    ...[
      { ...off, stopReason: 'Outside' as const },
      { ...off, stopReason: 'Unknown' as const },
      paused,
      suspended,
      { ...on, transient: true },
    ].map((machine) => ({
      reason: `what runs is found ${machine.power}${machine.transient ? ', without a definition' : ''}`,
      desired: watched,
      observed: observed(seen(machine)),
      step: 'Drifted',
    })),
    {
      reason: 'before a run was seen under this claim, off is not yet started',
      desired: { ...watched, runSeen: false },
      observed: observed(seen(off)),
      step: { do: 'Start', paused: false },
    },
    {
      reason: 'a shutdown by its own guest is the guest’s wish',
      desired: watched,
      observed: observed(seen({ ...off, stopReason: 'Guest' })),
      step: { do: 'MarkStopped', by: 'Guest', stays: true },
    },
    {
      reason: 'its host’s own work passes',
      desired: watched,
      observed: observed(seen({ ...paused, pauseReason: 'Job' })),
      step: { do: 'AwaitHost' },
    },
    {
      reason: 'a memory that is gone leaves the slot held',
      desired: { ...watched, powerState: 'Suspended' },
      observed: observed(seen({ ...off, stopReason: 'Outside' })),
      step: 'Drifted',
    },
    {
      reason: 'as declared',
      desired: watched,
      observed: observed(seen(on)),
      step: { do: 'Nothing' },
    },
  ],
  'to run': [
    {
      reason: '1: what is made outside must not outlive the object: first of all the finalizer',
      desired: { ...fresh, finalizer: false },
      observed: observed(nothing, { placement: { kind: 'Place', slot: 's1' } }),
      step: { do: 'AddFinalizer' },
    },
    {
      reason: '2: what a late call opened is closed before a slot is claimed',
      desired: { ...fresh, hypervisor: 'h1' },
      observed: observed(seen(off), { placement: { kind: 'Place', slot: 's1' } }),
      step: { do: 'Park' },
    },
    {
      reason: '3: a slot that placement gives is claimed',
      desired: fresh,
      observed: observed(nothing, { placement: { kind: 'Place', slot: 's1' } }),
      step: { do: 'Claim', slot: 's1' },
    },
    {
      reason: '3: what it lacks is asked for before a slot is taken',
      desired: fresh,
      observed: observed(nothing, { problem, placement: { kind: 'Place', slot: 's1' } }),
      step: 'SecretNotFound',
    },
    {
      reason: '3: it waits in the words of placement',
      desired: fresh,
      observed: observed(nothing, {
        placement: { kind: 'Wait', reason: 'DisksElsewhere', message: '', rejections: [] },
      }),
      step: 'DisksElsewhere',
    },
    {
      reason: '3: no slot is claimed while the host that has its disks cannot be seen',
      desired: { ...fresh, hypervisor: 'h1' },
      observed: observed(away, { placement: { kind: 'Place', slot: 's1' } }),
      step: 'HypervisorUnreachable',
    },
    {
      reason: '3: one that runs without a claim is never taken as its own, nor stopped',
      desired: { ...fresh, hypervisor: 'h1' },
      observed: observed(seen(on), { placement: { kind: 'Place', slot: 's1' } }),
      step: 'ForeignObject',
    },
    {
      reason: '4: the record comes before any effect on a host',
      desired: { ...fresh, claims: [bound] },
      observed: observed(nothing),
      step: { do: 'Record', slot: 's1', hypervisor: 'h1', pool: 'pool' },
    },
    {
      reason: '4: what is recorded is pinned with it: it waits until all of it is known',
      desired: { ...fresh, claims: [bound] },
      observed: observed(nothing, { problem: { code: 'DependencyNotFound', message: '' } }),
      step: 'DependencyNotFound',
    },
    {
      reason: 'a machine that goes off soon after each start is not started without pause',
      desired: placed,
      observed: observed(seen(off), { startDelayed: true }),
      step: { do: 'AwaitRestart' },
    },
    {
      reason: '4: without a pool there is nothing to record',
      desired: { ...fresh, claims: [bound] },
      observed: { ...observed(nothing), ...{ rootPool: undefined as never } },
      step: 'StoragePoolNotFound',
    },
    {
      reason: '5: the disk, once its image is complete in the pool',
      desired: placed,
      observed: observed(nothing),
      step: { do: 'CreateDisk' },
    },
    {
      reason: '5: until then it waits',
      desired: placed,
      observed: observed(nothing, { imagePlaced: false }),
      step: 'WaitingForImage',
    },
    {
      reason: '5: of a pool that cannot be looked into nothing is concluded',
      desired: { ...placed, diskMade: true },
      observed: observed(nothing, { poolProblem: { code: 'PoolInactive', message: '' } }),
      step: 'PoolInactive',
    },
    {
      reason: 'a disk that vanished is never made anew',
      desired: { ...placed, diskMade: true },
      observed: observed(seen(off, { volumes: [seed] })),
      step: 'DiskMissing',
    },
    {
      reason: '6: the definition',
      desired: placed,
      observed: observed(seen(undefined)),
      step: { do: 'Define', slot: 's1' },
    },
    {
      reason: '6: one that is parked is opened by defining it under the claim',
      desired: placed,
      observed: observed(seen(parked)),
      step: { do: 'Define', slot: 's1' },
    },
    {
      reason: '6: a tag of an earlier slot is mended, also while it runs',
      desired: running,
      observed: observed(seen({ ...on, tag: { ...tag, slot: 's0' } })),
      step: { do: 'Define', slot: 's1' },
    },
    {
      reason: '6: a transient machine is made to stay',
      desired: running,
      observed: observed(seen({ ...on, transient: true })),
      step: { do: 'Define', slot: 's1' },
    },
    { reason: '7: the start', desired: placed, observed: observed(seen(off)), step: { do: 'Start', paused: false } },
    {
      reason: '7: a saved state is started too',
      desired: placed,
      observed: observed(seen({ ...off, power: 'Suspended' })),
      step: { do: 'Start', paused: false },
    },
    {
      reason: '7: the stop of an earlier run, which may be ours, is no wish of the guest',
      desired: placed,
      observed: observed(seen({ ...off, stopReason: 'Guest' })),
      step: { do: 'Start', paused: false },
    },
    {
      reason: '7: a host that rebooted is no wish of the guest either',
      desired: running,
      observed: observed(seen({ ...off, stopReason: 'Unknown' })),
      step: { do: 'MarkStopped', by: 'Host', stays: false },
    },
    {
      reason: '7: a power that was cut on the host is mended',
      desired: running,
      observed: observed(seen({ ...off, stopReason: 'Outside' })),
      step: { do: 'MarkStopped', by: 'Outside', stays: false },
    },
    {
      reason: 'a crash, onCrash Restart',
      desired: running,
      observed: observed(seen({ ...off, stopReason: 'Crash' })),
      step: { do: 'MarkStopped', by: 'Crash', stays: false },
    },
    {
      reason: 'a crash, onCrash Stop',
      desired: { ...running, onCrash: 'Stop' },
      observed: observed(seen({ ...off, stopReason: 'Crash' })),
      step: { do: 'MarkStopped', by: 'Crash', stays: true },
    },
    {
      reason: 'the guest shut itself down, onGuestShutdown Restart',
      desired: { ...running, onGuestShutdown: 'Restart' },
      observed: observed(seen({ ...off, stopReason: 'Guest' })),
      step: { do: 'MarkStopped', by: 'Guest', stays: false },
    },
    {
      reason: 'the guest shut itself down while a restart was asked for: that is what the user wants',
      desired: { ...running, restart },
      observed: observed(seen({ ...off, stopReason: 'Guest' })),
      step: { do: 'MarkStopped', by: 'Guest', stays: false },
    },
    { reason: '8: seen to run', desired: placed, observed: observed(seen(on)), step: { do: 'MarkRunning' } },
    { reason: 'it runs, as wanted', desired: running, observed: observed(seen(on)), step: { do: 'Nothing' } },
    {
      reason: 'a problem that came later disturbs nothing that runs',
      desired: running,
      observed: observed(seen(on), { problem }),
      step: { do: 'Nothing' },
    },
    {
      reason: 'paused by somebody: it goes on',
      desired: running,
      observed: observed(seen(paused)),
      step: { do: 'Unpause' },
    },
    {
      reason: 'held by the host, since it cannot go on: reported',
      desired: running,
      observed: observed(seen({ ...paused, pauseReason: 'Fault' })),
      step: 'Drifted',
    },
    {
      reason: 'held by the host for a job: it is waited for',
      desired: running,
      observed: observed(seen({ ...paused, pauseReason: 'Job' })),
      step: { do: 'AwaitHost' },
    },
    {
      reason: '13: the guest shut itself down in a run that was seen',
      desired: running,
      observed: observed(seen({ ...off, stopReason: 'Guest' })),
      step: { do: 'MarkStopped', by: 'Guest', stays: true },
    },
    {
      reason: 'a machine that vanished is not made anew',
      desired: running,
      observed: observed(seen(undefined)),
      step: 'Vanished',
    },
    {
      reason: 'host and claim disagree: nothing is touched',
      desired: { ...placed, claims: [{ ...bound, occupied: true }] },
      observed: observed(seen(off)),
      step: 'ForeignObject',
    },
    {
      reason: 'what bears our id and not our tag is not touched',
      desired: placed,
      observed: observed(seen(undefined, { foreign: 'it is of another cluster' })),
      step: 'ForeignObject',
    },
    {
      reason: 'nothing is done on a host that cannot be seen',
      desired: running,
      observed: observed(away),
      step: 'HypervisorUnreachable',
    },
    {
      reason: 'a host that refuses to be read is not called unreachable',
      desired: running,
      observed: observed({ reachable: false, code: 'HypervisorRefused', message: 'no permission' }),
      step: 'HypervisorRefused',
    },
    {
      reason: 'record without claim (a person edited status): closed, cleared, claimed anew',
      desired: { ...running, claims: [] },
      observed: observed(seen(off)),
      step: { do: 'Park' },
    },
    {
      reason: 'record without claim, parked: cleared',
      desired: { ...running, claims: [] },
      observed: observed(seen(parked)),
      step: { do: 'ClearRecord' },
    },
  ],
  'to pause and to suspend': [
    {
      reason: 'a run is marked before anything else is done with it',
      desired: { ...toSuspend, runSeen: false },
      observed: observed(seen(on)),
      step: { do: 'MarkRunning' },
    },
    { reason: 'to pause what runs', desired: toPause, observed: observed(seen(on)), step: { do: 'Pause' } },
    { reason: 'paused as declared', desired: toPause, observed: observed(seen(paused)), step: { do: 'Nothing' } },
    {
      reason: 'to start paused: not an instruction is run before',
      desired: { ...toPause, runSeen: false },
      observed: observed(seen(off)),
      step: { do: 'Start', paused: true },
    },
    {
      reason: 'to go on from the disk paused',
      desired: toPause,
      observed: observed(seen(suspended)),
      step: { do: 'Start', paused: true },
    },
    {
      reason: 'to suspend what runs: that it begins is recorded, since it goes on whether somebody waits for it or not',
      desired: toSuspend,
      observed: observed(seen(on)),
      step: { do: 'BeginSuspend' },
    },
    {
      reason: 'then its memory is saved',
      desired: { ...toSuspend, saving: true },
      observed: observed(seen(on)),
      step: { do: 'Suspend' },
    },
    {
      reason: 'a stop while its memory is being saved: the host is waited for, or that memory would be lost',
      desired: { ...running, powerState: 'Stopped', saving: true },
      observed: observed(seen({ ...paused, pauseReason: 'Job' })),
      step: { do: 'AwaitHost' },
    },
    {
      reason: 'a stop while a save may still arrive',
      desired: { ...running, powerState: 'Stopped', saving: true },
      observed: observed(seen(on), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: 'a hard stop waits for neither',
      desired: { ...running, powerState: 'Stopped', shutdownMode: 'Hard', saving: true },
      observed: observed(seen({ ...paused, pauseReason: 'Job' }), { settled: false }),
      step: { do: 'Drain', slot: 's1' },
    },
    {
      reason: 'what is suspended and vanished is not off: it is told, and keeps its slot',
      desired: toSuspend,
      observed: observed(seen(undefined)),
      step: 'Vanished',
    },
    {
      reason: 'to suspend what is paused: it goes on first, or it would wake up paused',
      desired: toSuspend,
      observed: observed(seen(paused)),
      step: { do: 'Unpause' },
    },
    {
      reason: 'the host is still writing its memory',
      desired: toSuspend,
      observed: observed(seen({ ...paused, pauseReason: 'Job' })),
      step: { do: 'AwaitHost' },
    },
    {
      reason: 'suspended as declared: the slot is kept',
      desired: toSuspend,
      observed: observed(seen(suspended)),
      step: { do: 'Nothing' },
    },
    {
      reason: 'its host cannot be seen: nothing is concluded, least of all that there is no memory',
      desired: toSuspend,
      observed: observed(away),
      step: 'HypervisorUnreachable',
    },
    {
      reason: 'what is off has no memory: its slot is given back',
      desired: toSuspend,
      observed: observed(seen(off)),
      step: { do: 'Drain', slot: 's1' },
    },
    {
      reason: 'and a person is told',
      desired: { ...stopped, powerState: 'Suspended' },
      observed: observed(seen(parked)),
      step: 'NothingToSuspend',
    },
    {
      reason: 'what was never made is not made for that',
      desired: { ...fresh, powerState: 'Suspended' },
      observed: observed(seen(undefined)),
      step: 'NothingToSuspend',
    },
    {
      reason: 'what somebody saved without a claim is claimed for, not parked: its memory would start in spite of it',
      desired: { ...fresh, hypervisor: 'h1', diskMade: true },
      observed: observed(seen(suspended), { placement: { kind: 'Place', slot: 's1' } }),
      step: { do: 'Claim', slot: 's1' },
    },
  ],
  'to restart': [
    {
      reason: 'a restart begins by being recorded',
      desired: { ...running, restart },
      observed: observed(seen(on)),
      step: { do: 'BeginRestart', restart },
    },
    {
      reason: 'not while a call may still arrive: once off, it would have to wait for that',
      desired: { ...running, restart },
      observed: observed(seen(on), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: 'asked for before it ran: the start serves it',
      desired: { ...placed, restart },
      observed: observed(seen(off)),
      step: { do: 'ServeRestart' },
    },
    {
      reason: 'Warm: the guest is asked',
      desired: { ...restarting, shutdownMode: 'Hard' },
      observed: observed(seen(on)),
      step: { do: 'ShutDown' },
    },
    {
      reason: 'Warm: its power is cut when its time is over, whatever shutdownMode is',
      desired: { ...restarting, shutdownMode: 'Soft' },
      observed: observed(seen(on), { shutdown: { askedLately: false, timedOut: true } }),
      step: { do: 'PowerOff' },
    },
    {
      reason: 'Cold: as shutdownMode says',
      desired: { ...running, restarting: { token: 'today', mode: 'Cold' }, shutdownMode: 'Hard' },
      observed: observed(seen(on)),
      step: { do: 'PowerOff' },
    },
    {
      reason: 'off for it, by the guest that was asked: that is no wish of its own',
      desired: restarting,
      observed: observed(seen({ ...off, stopReason: 'Guest' })),
      step: { do: 'MarkStopped', by: 'Berth', stays: false },
    },
    {
      reason: 'a stop that is late would end the next run',
      desired: restarting,
      observed: observed(seen({ ...off, stopReason: 'Guest' }), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: 'a crash that stays off, once it is declared, is told',
      desired: { ...stopped, powerState: 'Running', halted: 'Crash' },
      observed: observed(seen(parked)),
      step: 'GuestCrashed',
    },
    {
      reason: 'what its host holds is restarted too: that is what the user asks for',
      desired: { ...running, restart },
      observed: observed(seen({ ...paused, pauseReason: 'Fault' })),
      step: { do: 'BeginRestart', restart },
    },
    {
      reason: 'what was migrated away may run elsewhere, on the same disk: nothing is started',
      desired: running,
      observed: observed(seen({ ...off, stopReason: 'Migrated' })),
      step: 'Drifted',
    },
    {
      reason: 'a machine that vanishes between a crash and the next start is not made anew',
      desired: { ...placed, diskMade: true, seenThere: true },
      observed: observed(seen(undefined)),
      step: 'Vanished',
    },
    {
      reason: 'a stop that is declared meanwhile goes before',
      desired: { ...restarting, powerState: 'Stopped' },
      observed: observed(seen(on)),
      step: { do: 'Drain', slot: 's1' },
    },
  ],
  'to stop': [
    {
      reason: '9: drained first: from here on there is no way back',
      desired: { ...running, powerState: 'Stopped' },
      observed: observed(seen(on)),
      step: { do: 'Drain', slot: 's1' },
    },
    {
      reason: '9: one that its guest halted gives its slot back too',
      desired: { ...running, runSeen: false, halted: 'Guest' },
      observed: observed(seen({ ...off, stopReason: 'Guest' })),
      step: { do: 'Drain', slot: 's1' },
    },
    {
      reason: '10: parked while it runs, so that off means fenced at once',
      desired: stopping,
      observed: observed(seen(on)),
      step: { do: 'Park' },
    },
    {
      reason: '10: then the guest is asked',
      desired: stopping,
      observed: observed(seen({ ...on, parked: true })),
      step: { do: 'ShutDown' },
    },
    {
      reason: '10: and given time',
      desired: stopping,
      observed: observed(seen({ ...on, parked: true }), { shutdown: { askedLately: true, timedOut: false } }),
      step: { do: 'AwaitShutdown' },
    },
    {
      reason: 'TrySoft: cut after the timeout',
      desired: stopping,
      observed: observed(seen({ ...on, parked: true }), { shutdown: { askedLately: true, timedOut: true } }),
      step: { do: 'PowerOff' },
    },
    {
      reason: 'Soft: never cut',
      desired: { ...stopping, shutdownMode: 'Soft' },
      observed: observed(seen({ ...on, parked: true }), { shutdown: { askedLately: false, timedOut: true } }),
      step: 'GuestRefusesShutdown',
    },
    {
      reason: 'Hard: never asked',
      desired: { ...stopping, shutdownMode: 'Hard' },
      observed: observed(seen({ ...on, parked: true })),
      step: { do: 'PowerOff' },
    },
    {
      reason: 'a transient machine has no definition to park',
      desired: stopping,
      observed: observed(seen({ ...on, transient: true })),
      step: { do: 'ShutDown' },
    },
    {
      reason: '10: off, but it could be started by a call that is late: parked',
      desired: stopping,
      observed: observed(seen(off)),
      step: { do: 'Park' },
    },
    {
      reason: '10: what was saved while it was being stopped can be started: its memory goes, as with a power cut',
      desired: stopping,
      observed: observed(seen(suspended)),
      step: { do: 'DiscardMemory' },
    },
    {
      reason: '10: no power is cut under Soft, so no memory goes either',
      desired: { ...stopping, shutdownMode: 'Soft' },
      observed: observed(seen(suspended)),
      step: 'GuestRefusesShutdown',
    },
    {
      reason: 'what is suspended goes on under its claim, to be shut down in order',
      desired: { ...running, powerState: 'Stopped' },
      observed: observed(seen(suspended)),
      step: { do: 'Start', paused: false },
    },
    {
      reason: 'what is suspended is given up under Hard: its claim is drained',
      desired: { ...running, powerState: 'Stopped', shutdownMode: 'Hard' },
      observed: observed(seen(suspended)),
      step: { do: 'Drain', slot: 's1' },
    },
    {
      reason: 'what is suspended under an earlier slot is given the tag of its own first',
      desired: { ...running, powerState: 'Stopped' },
      observed: observed(seen({ ...suspended, tag: { ...tag, slot: 's0' } })),
      step: { do: 'Define', slot: 's1' },
    },
    {
      reason: 'a stranger in its slot makes nobody throw its memory away',
      desired: { ...running, powerState: 'Stopped', claims: [{ ...bound, occupied: true }] },
      observed: observed(seen(suspended)),
      step: 'ForeignObject',
    },
    {
      reason:
        'what does not go on within shutdownTimeout loses its memory, as a guest that does not hear loses its power',
      desired: { ...running, powerState: 'Stopped' },
      observed: observed(seen(suspended), { shutdown: { askedLately: false, timedOut: true } }),
      step: { do: 'Drain', slot: 's1' },
    },
    {
      reason: 'not under Soft',
      desired: { ...running, powerState: 'Stopped', shutdownMode: 'Soft' },
      observed: observed(seen(suspended), { shutdown: { askedLately: false, timedOut: true } }),
      step: 'GuestRefusesShutdown',
    },
    {
      reason: 'a paused guest cannot be asked: it goes on first',
      desired: stopping,
      observed: observed(seen({ ...paused, parked: true })),
      step: { do: 'Unpause' },
    },
    {
      reason: 'a guest that its host holds cannot be asked: its power is cut',
      desired: stopping,
      observed: observed(seen({ ...paused, parked: true, pauseReason: 'Fault' })),
      step: { do: 'PowerOff' },
    },
    {
      reason: '11: parked and off: the record is cleared',
      desired: stopping,
      observed: observed(seen(parked)),
      step: { do: 'ClearRecord' },
    },
    {
      reason: '12: the slot is given back',
      desired: { ...stopped, claims: [releasing] },
      observed: observed(seen(parked)),
      step: { do: 'Release', slot: 's1' },
    },
    {
      reason: '12: also where nothing was made',
      desired: { ...stopped, claims: [releasing] },
      observed: observed(nothing),
      step: { do: 'Release', slot: 's1' },
    },
    {
      reason: '12: not while a call may be on its way',
      desired: { ...stopped, claims: [releasing] },
      observed: observed(seen(parked), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: '12: not before the host was seen',
      desired: { ...stopped, claims: [releasing] },
      observed: observed(away),
      step: 'HypervisorUnreachable',
    },
    {
      reason: 'a stop that has begun is finished, though it is wanted again',
      desired: { ...stopping, powerState: 'Running' },
      observed: observed(seen({ ...on, parked: true })),
      step: { do: 'ShutDown' },
    },
    { reason: 'off, as wanted', desired: stopped, observed: observed(seen(parked)), step: { do: 'Nothing' } },
    {
      reason: '2: off without a claim, opened by a late define: closed',
      desired: stopped,
      observed: observed(seen(off)),
      step: { do: 'Park' },
    },
    {
      reason: 'never made and not wanted: nothing is looked for',
      desired: { ...fresh, powerState: 'Stopped' },
      observed: observed(away),
      step: { do: 'Nothing' },
    },
    {
      reason: 'whether it is off is not known while its host is away',
      desired: stopped,
      observed: observed(away),
      step: 'HypervisorUnreachable',
    },
  ],
  'claims beside the recorded one': [
    {
      reason: '9: drained',
      desired: { ...running, claims: [bound, elsewhere] },
      observed: observed(seen(on)),
      step: { do: 'Drain', slot: 's9' },
    },
    {
      reason: '12: given back, though the machine runs under the other',
      desired: { ...running, claims: [bound, { ...elsewhere, phase: 'Releasing' }] },
      observed: observed(seen(on)),
      step: { do: 'Release', slot: 's9' },
    },
    {
      reason: '12: on the same host too: it runs under the other tag',
      desired: { ...running, claims: [bound, { ...releasing, slot: 's2' }] },
      observed: observed(seen(on)),
      step: { do: 'Release', slot: 's2' },
    },
    {
      reason: 'one whose host is away holds up neither a run',
      desired: { ...placed, claims: [bound, { ...elsewhere, phase: 'Releasing' }] },
      observed: observed(seen(off), {}, away),
      step: { do: 'Start', paused: false },
    },
    {
      reason: 'nor a stop',
      desired: { ...stopping, claims: [releasing, { ...elsewhere, phase: 'Releasing' }] },
      observed: observed(seen(on), {}, away),
      step: { do: 'Park' },
    },
    {
      reason: 'one that is not settled is looked at again',
      desired: { ...running, claims: [bound, { ...elsewhere, phase: 'Releasing' }] },
      observed: observed(seen(on), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: 'away from the disks: given back before another is claimed',
      desired: { ...fresh, hypervisor: 'h1', claims: [elsewhere] },
      observed: observed(nothing),
      step: { do: 'Drain', slot: 's9' },
    },
    {
      reason: 'a machine where none was ever made: one machine on two hosts is feared, nothing is done',
      desired: { ...placed, claims: [bound, { ...elsewhere, phase: 'Releasing' }] },
      observed: observed(seen(off), {}, seen({ ...on, tag: { ...tag, slot: 's9' } })),
      step: 'ForeignObject',
    },
    {
      reason: 'the machine still bears the tag of the claim that goes: it is mended first',
      desired: { ...running, claims: [bound, { ...releasing, slot: 's0' }] },
      observed: observed(seen({ ...on, tag: { ...tag, slot: 's0' } })),
      step: { do: 'Define', slot: 's1' },
    },
  ],
  deletion: [
    {
      reason: '14: the API server lets go of a slot only from Releasing',
      desired: { ...deleting, claims: [bound] },
      observed: observed(seen(on)),
      step: { do: 'Drain', slot: 's1' },
    },
    { reason: '14: stopped', desired: deleting, observed: observed(seen(on)), step: { do: 'ShutDown' } },
    { reason: '14: undefined', desired: deleting, observed: observed(seen(off)), step: { do: 'Undefine' } },
    {
      reason: '14: then the slot',
      desired: deleting,
      observed: observed(seen(undefined)),
      step: { do: 'Release', slot: 's1' },
    },
    {
      reason: '14: not while a start may be on its way',
      desired: deleting,
      observed: observed(seen(undefined), { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: '14: then the volumes',
      desired: { ...deleting, claims: [] },
      observed: observed(seen(undefined)),
      step: { do: 'DeleteVolume', pool: 'pool', volume: root.name },
    },
    {
      reason: '14: nor what others have put over a retained disk: an external snapshot holds what came since',
      desired: { ...deleting, claims: [], retainedDisks: ['root'] },
      observed: observed(seen(undefined, { volumes: [root, { ...root, name: `${root.name}.snap1` }] })),
      step: { do: 'RemoveFinalizer' },
    },
    {
      reason: '14: but what is retained',
      desired: { ...deleting, claims: [], retainedDisks: ['root'] },
      observed: observed(seen(undefined, { volumes: [root, seed] })),
      step: { do: 'DeleteVolume', pool: 'pool', volume: seed.name },
    },
    {
      reason: '14: a pool that cannot be looked into may hold its disks',
      desired: { ...deleting, claims: [] },
      observed: observed(nothing, { poolProblem: { code: 'PoolInactive', message: '' } }),
      step: 'PoolInactive',
    },
    {
      reason: '14: a late call could still make a volume',
      desired: { ...deleting, claims: [] },
      observed: observed(nothing, { settled: false }),
      step: { do: 'AwaitSettled' },
    },
    {
      reason: '14: gone',
      desired: { ...deleting, claims: [], retainedDisks: ['root'] },
      observed: observed(seen(undefined)),
      step: { do: 'RemoveFinalizer' },
    },
    {
      reason: '14: nothing was ever made',
      desired: { ...fresh, deleting: true },
      observed: observed(away),
      step: { do: 'RemoveFinalizer' },
    },
    {
      reason: 'it waits for a host that is away, and keeps the slot',
      desired: deleting,
      observed: observed(away),
      step: 'HypervisorUnreachable',
    },
    {
      reason: 'what is not ours is not touched, whoever deletes the object',
      desired: deleting,
      observed: observed(seen(undefined, { foreign: 'it has no tag' })),
      step: 'ForeignObject',
    },
    {
      reason: 'a claim whose host is away does not keep the other',
      desired: { ...deleting, claims: [{ ...elsewhere, phase: 'Releasing' }, releasing] },
      observed: observed(seen(undefined), {}, away),
      step: { do: 'Release', slot: 's1' },
    },
    {
      reason: 'the finalizer stays while a claim is held that cannot be given back',
      desired: { ...deleting, claims: [{ ...elsewhere, phase: 'Releasing' }] },
      observed: observed(nothing, {}, seen(on)),
      step: 'ForeignObject',
    },
    {
      reason: 'others hold the object, we do not',
      desired: { ...deleting, finalizer: false },
      observed: observed(seen(on)),
      step: { do: 'Nothing' },
    },
  ],
}

describe.each(Object.entries(lines))('%s', (_, table) => {
  it.each(table)('$reason', ({ desired, observed: facts, step }) => {
    const planned = plan(desired, facts)
    expect(typeof step === 'string' && planned.do === 'Wait' ? planned.problem.code : planned).toEqual(step)
  })
})

it('never decides a destructive step, one that builds, or whose wish a stop was, on the cache', () => {
  const all = Object.values(lines).flatMap((table) => table.map((line) => plan(line.desired, line.observed)))
  const onCache = new Set(all.filter((step) => !needsLiveRead(step)).map(({ do: step }) => step))
  expect([...onCache].sort()).toEqual([
    'AddFinalizer',
    'AwaitHost',
    'AwaitRestart',
    'AwaitSettled',
    'AwaitShutdown',
    'BeginRestart',
    'BeginSuspend',
    'Claim',
    'MarkRunning',
    'Nothing',
    'Record',
    'ServeRestart',
    'Wait',
  ])
})

it.each([
  ['declared Running', running, true],
  ['declared Paused', toPause, true],
  ['declared Suspended', toSuspend, false],
  ['declared Stopped', stopped, false],
  ['off by its guest’s wish', { ...running, halted: 'Guest' as const }, false],
  ['being deleted', deleting, false],
])('wants to run: %s', (_, desired, expected) => {
  expect(wantsToRun(desired)).toBe(expected)
})
