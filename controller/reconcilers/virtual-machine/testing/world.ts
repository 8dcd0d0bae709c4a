/**
 * A small world for the real planner: objects with compare-and-swap, hosts, controllers, and calls on their way that
 * arrive whenever they like. Only what the claim protocol speaks of is in it. States are plain JSON, so that they can be
 * compared, stored and replayed; `successors` gives every next state, which is all that a search or a walk needs.
 */
import type { MachineObservation } from '../../../hypervisor/port.ts'
import { volumeNames } from '../../../hypervisor/port.ts'
import { type Decision, place } from '../../../placement/index.ts'
import { type Desired, needsLiveRead, type Observed, type Step } from '../model.ts'
import { plan, wantsToRun } from '../plan.ts'

export interface VM {
  uid: string
  finalizer: boolean
  deleting: boolean
  powerState: 'Running' | 'Stopped'
  slot?: string
  hypervisor?: string
  runSeen: boolean
  halted: boolean
  diskMade: boolean
}
interface Slot {
  consumer?: string
  phase: 'Free' | 'Bound' | 'Releasing'
}
interface Machine {
  running: boolean
  parked: boolean
  slot: string
  reason: 'Guest' | 'Outside' | 'Unknown'
}
interface Host {
  up: boolean
  machines: Record<string, Machine>
  volumes: Record<string, true>
}
interface API {
  vms: Record<string, VM | null>
  slots: Record<string, Slot>
}
/** What may be done to the API: each a compare-and-swap of one object. */
type Write = { kind: 'vm'; key: string; uid: string; set: Partial<VM> } | { kind: 'slot'; key: string; set: Slot }
/** What may be done to a host. */
interface HostCall {
  kind: 'host'
  host: string
  uid: string
  verb: 'CreateDisk' | 'Define' | 'Start' | 'Park' | 'ShutDown' | 'PowerOff' | 'Undefine' | 'DeleteVolume'
  slot?: string
}
type Call = (Write | HostCall) & {
  /** The write is based on the newest version still. */
  fresh: boolean
  /** A worker waits for the answer; else it gave up, or is gone. */
  awaited: boolean
  /** It may arrive later than T: the T rule does not see it. */
  beyondT: boolean
}
type Worker = { at: 'Reading'; key: string; api: API; dirty: string[] } | { at: 'Waiting' } | null

export interface State extends API {
  hosts: Record<string, Host>
  /** What the cache shows of an object that it has stopped following. */
  stale: Record<string, { value: VM | Slot | null; fresh: boolean }>
  worker: Worker
  calls: Call[]
  faults: Faults
}

/** How often each fault may still happen. */
export interface Faults {
  power?: number
  delete?: number
  guest?: number
  reboot?: number
  down?: number
  /** An answer is lost, and the call arrives within T. */
  slow?: number
  /** An answer is lost, and the call arrives at any time. */
  late?: number
  crash?: number
  /** The cache stops following one object. */
  lag?: number
}

export interface Configuration {
  readonly vms: readonly string[]
  /** Host of each slot. */
  readonly slots: Readonly<Record<string, string>>
  readonly faults: Faults
  readonly shutdownMode?: Desired['shutdownMode']
  readonly retained?: readonly string[]
}

/** What a mutant of the protocol replaces. */
export interface Protocol {
  readonly plan: (desired: Desired, observed: Observed) => Step
  readonly needsLiveRead: (step: Step) => boolean
}
export const realProtocol: Protocol = { plan, needsLiveRead }

export interface Successor {
  readonly label: string
  readonly state: State
  /** Something that a user, a guest or misfortune does: a fair run without faults has none. */
  readonly fault: boolean
  /** What must not have happened. */
  readonly violation?: string
}

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value))
const nameOf = (uid: string): string => uid.slice(0, -1)

export class World {
  readonly configuration: Configuration
  readonly #protocol: Protocol

  constructor(configuration: Configuration, protocol: Protocol = realProtocol) {
    this.configuration = configuration
    this.#protocol = protocol
  }

  initial(): State {
    const { vms, slots, faults } = this.configuration
    const hosts = [...new Set(Object.values(slots))]
    return {
      vms: Object.fromEntries(vms.map((name) => [name, newVM(`${name}1`)])),
      slots: Object.fromEntries(Object.keys(slots).map((name) => [name, { phase: 'Free' as const }])),
      hosts: Object.fromEntries(hosts.map((name) => [name, { up: true, machines: {}, volumes: {} }])),
      stale: {},
      worker: null,
      calls: [],
      faults: { ...faults },
    }
  }

  // ---------------------------------------------------------------- what the planner is shown

  #desired(api: API, vm: VM): Desired {
    const claims = Object.entries(api.slots).flatMap(([slot, { consumer, phase }]) =>
      consumer === vm.uid && phase !== 'Free'
        ? [{ slot, hypervisor: this.#hostOf(slot), phase, occupied: false as boolean }]
        : [],
    )
    const { uid, finalizer, deleting, powerState, slot, hypervisor, runSeen, halted, diskMade } = vm
    return {
      instanceID: uid,
      finalizer,
      deleting,
      powerState,
      shutdownMode: this.configuration.shutdownMode ?? 'TrySoft',
      claims,
      ...(slot === undefined ? {} : { recordedSlot: slot }),
      ...(hypervisor === undefined ? {} : { hypervisor }),
      runSeen,
      halted: halted && powerState === 'Running',
      diskMade,
      retainedDisks: this.configuration.retained?.includes(nameOf(uid)) ? ['root'] : [],
    }
  }

  #observed(state: State, api: API, desired: Desired): Observed {
    const names = new Set(desired.claims.map(({ hypervisor }) => hypervisor))
    if (desired.hypervisor !== undefined) names.add(desired.hypervisor)
    const placement = this.#placement(state, api, desired)
    return {
      hosts: new Map([...names].map((name) => [name, this.#look(state, name, desired.instanceID)])),
      ...(placement === undefined ? {} : { placement }),
      rootPool: 'pool',
      imagePlaced: true,
      settled: isSettled(state, desired.instanceID),
      startDelayed: false,
      shutdown: { askedLately: false, timedOut: false },
    }
  }

  #look({ hosts }: State, name: string, uid: string) {
    const host = hosts[name]
    if (!host?.up) return { reachable: false as const, message: `${name} is away` }
    return { reachable: true as const, observation: observationOf(host, uid) }
  }

  #placement({ hosts }: State, api: API, desired: Desired): Decision | undefined {
    if (!wantsToRun(desired) || desired.claims.length > 0) return undefined
    const demands = Object.values(api.vms).flatMap((vm) => {
      if (!vm) return []
      const wanted = this.#desired(api, vm)
      if (!wantsToRun(wanted) || wanted.claims.length > 0 || vm.slot !== undefined) return []
      return [demandOf(wanted)]
    })
    const offers = Object.entries(api.slots).map(([name, { phase }]) => {
      const host = this.#hostOf(name)
      return slotOffer(name, host, phase === 'Free' && hosts[host]?.up === true)
    })
    return place(demandOf(desired), demands, offers)
  }

  #hostOf = (slot: string): string => this.configuration.slots[slot] ?? ''

  // ---------------------------------------------------------------- what happens next

  /** Every state that may follow. */
  successors(before: State): Successor[] {
    const found: Successor[] = []
    const emit = (label: string, fault: boolean, change: (state: State) => string | false | undefined) => {
      const state = copy(before)
      const violation = change(state)
      if (violation === false) return
      found.push({ label, state, fault, ...(violation === undefined ? {} : { violation }) })
    }
    this.#misfortunes(before, emit)
    this.#arrivals(before, emit)
    this.#passes(before, emit)
    return found
  }

  #misfortunes(before: State, emit: Emit): void {
    const spend = (fault: keyof Faults, label: string, change: (state: State) => void) => {
      if (!before.faults[fault]) return
      emit(label, true, (state) => {
        state.faults[fault] = (state.faults[fault] ?? 0) - 1
        change(state)
        return undefined
      })
    }
    for (const [key, vm] of Object.entries(before.vms)) {
      if (!vm || vm.deleting) continue
      spend('power', `user toggles the power of ${key}`, (state) => {
        const changed = state.vms[key] as VM
        changed.powerState = changed.powerState === 'Running' ? 'Stopped' : 'Running'
        changed.halted = false
        touch(state, key)
      })
      spend('delete', `user deletes ${key}`, (state) => {
        if (vm.finalizer) (state.vms[key] as VM).deleting = true
        else state.vms[key] = null
        touch(state, key)
      })
    }
    for (const [name, host] of Object.entries(before.hosts)) {
      if (host.up) {
        spend('down', `${name} becomes unreachable`, (state) => {
          hostIn(state, name).up = false
        })
      } else {
        emit(`${name} is reachable again`, false, (state) => {
          hostIn(state, name).up = true
          return undefined
        })
      }
      spend('reboot', `${name} reboots`, (state) => {
        for (const machine of Object.values(hostIn(state, name).machines)) {
          machine.running = false
          machine.reason = 'Unknown'
        }
      })
      for (const [uid, { running }] of Object.entries(host.machines)) {
        if (running) spend('guest', `guest ${uid} shuts down`, (state) => turnOff(hostIn(state, name), uid, 'Guest'))
      }
    }
    if (before.worker) {
      spend('crash', 'the controller crashes', (state) => {
        state.worker = null
        state.stale = {}
        for (const call of state.calls) call.awaited = false
      })
    }
    for (const key of [...Object.keys(before.vms), ...Object.keys(before.slots)]) {
      if (key in before.stale) continue
      spend('lag', `the cache stops following ${key}`, (state) => {
        state.stale[key] = { value: copy(state.vms[key] ?? state.slots[key] ?? null), fresh: true }
      })
    }
  }

  #arrivals(before: State, emit: Emit): void {
    for (const [index, call] of before.calls.entries()) {
      const take = (state: State): Call => {
        const [taken] = state.calls.splice(index, 1)
        if (taken?.awaited) state.worker = null
        return taken as Call
      }
      if (call.kind !== 'host' || before.hosts[call.host]?.up) {
        emit(`${call.awaited ? '' : 'late: '}${show(call)} arrives`, false, (state) => this.#arrive(state, take(state)))
      }
      if (!call.awaited) continue
      for (const fault of ['slow', 'late'] as const) {
        if (!before.faults[fault]) continue
        emit(`the answer to ${show(call)} is lost (${fault})`, true, (state) => {
          state.faults[fault] = (state.faults[fault] ?? 0) - 1
          const waiting = state.calls[index] as Call
          waiting.awaited = false
          waiting.beyondT = fault === 'late'
          state.worker = null
          return undefined
        })
      }
    }
  }

  #passes(before: State, emit: Emit): void {
    const { worker } = before
    for (const [key, { fresh }] of Object.entries(before.stale)) {
      if (fresh) continue
      emit(`the cache catches up on ${key}`, false, (state) => {
        delete state.stale[key]
        return undefined
      })
    }
    if (worker?.at === 'Reading') {
      emit('the host is observed', false, (state) => {
        const { key, api, dirty } = worker
        state.worker = null
        const call = this.#next(state, api, key)
        if (call) send(state, call, (touched) => !dirty.includes(touched))
        return undefined
      })
    }
    if (worker) return
    for (const key of [...Object.keys(before.vms), ...Object.keys(before.slots)]) {
      emit(`a pass reads ${key}`, false, (state) => {
        state.worker = { at: 'Reading', key, api: copy({ vms: state.vms, slots: state.slots }), dirty: [] }
        return undefined
      })
      if (Object.keys(before.stale).length > 0) this.#cachedPass(before, key, emit)
    }
  }

  /** A pass on the cache goes as far as the steps that may be decided there. */
  #cachedPass(before: State, key: string, emit: Emit): void {
    const api = copy({ vms: before.vms, slots: before.slots }) as API
    for (const [name, { value }] of Object.entries(before.stale)) {
      if (name in api.vms) api.vms[name] = value as VM | null
      else api.slots[name] = value as Slot
    }
    const vm = api.vms[key]
    if (!vm) return
    const desired = this.#desired(api, vm)
    const step = this.#protocol.plan(desired, this.#observed(before, api, desired))
    const call = this.#callOf(step, key, desired, this.#observed(before, api, desired))
    if (!call || this.#protocol.needsLiveRead(step)) return
    emit(`on the cache ${show(call)} is sent`, false, (state) => {
      send(state, call, (touched) => state.stale[touched]?.fresh ?? true)
      const live = state.vms[key]
      const wanted = live?.uid === vm.uid && wantsToRun(this.#desired(state, live))
      const stops = step.do === 'ShutDown' || step.do === 'PowerOff' || step.do === 'Drain'
      return wanted && stops ? `${key} is wanted, and ${step.do} is decided on a stale read` : undefined
    })
  }

  /** What a pass over that key does, given what it read of the API; the hosts are as they are now. */
  #next(state: State, api: API, key: string): Write | HostCall | undefined {
    const slot = api.slots[key]
    if (slot) return this.#orphan(state, api, key, slot)
    const vm = api.vms[key]
    if (!vm) return undefined
    const desired = this.#desired(api, vm)
    const observed = this.#observed(state, api, desired)
    return this.#callOf(this.#protocol.plan(desired, observed), key, desired, observed)
  }

  /** Step 15 of the protocol, as slot/orphan.ts does it. */
  #orphan(state: State, api: API, key: string, { consumer, phase }: Slot): Write | HostCall | undefined {
    const name = this.#hostOf(key)
    const host = state.hosts[name]
    if (consumer === undefined || api.vms[nameOf(consumer)]?.uid === consumer || !host?.up) return undefined
    const machine = host.machines[consumer]
    if (machine?.running) return undefined
    if (machine && !machine.parked) return { kind: 'host', host: name, uid: consumer, verb: 'Park' }
    if (!isSettled(state, consumer)) return undefined
    return { kind: 'slot', key, set: phase === 'Bound' ? { consumer, phase: 'Releasing' } : { phase: 'Free' } }
  }

  #callOf(step: Step, key: string, desired: Desired, observed: Observed): Write | HostCall | undefined {
    const uid = desired.instanceID
    const seen = observed.hosts.get(desired.hypervisor ?? '')
    const diskMade = desired.diskMade || (seen?.reachable === true && seen.observation.volumes.length > 0)
    const vm = (set: Partial<VM>): Write => ({ kind: 'vm', key, uid, set: { diskMade, ...set } })
    const host = desired.hypervisor ?? ''
    switch (step.do) {
      case 'AddFinalizer':
        return vm({ finalizer: true })
      case 'RemoveFinalizer':
        return vm({ finalizer: false })
      case 'Claim':
        return { kind: 'slot', key: step.slot, set: { consumer: uid, phase: 'Bound' } }
      case 'Record':
        return vm({ slot: step.slot, hypervisor: step.hypervisor, runSeen: false })
      case 'MarkRunning':
        return vm({ runSeen: true })
      case 'MarkHalted':
        return vm({ runSeen: false, halted: true })
      case 'ClearRecord':
        return { kind: 'vm', key, uid, set: { diskMade, runSeen: false, slot: '' } }
      case 'Drain':
        return { kind: 'slot', key: step.slot, set: { consumer: uid, phase: 'Releasing' } }
      case 'Release':
        return { kind: 'slot', key: step.slot, set: { phase: 'Free' } }
      case 'Define':
        return { kind: 'host', host, uid, verb: 'Define', slot: step.slot }
      case 'CreateDisk':
      case 'Start':
      case 'Park':
      case 'ShutDown':
      case 'PowerOff':
      case 'Undefine':
      case 'DeleteVolume':
        return { kind: 'host', host, uid, verb: step.do }
      case 'Wait':
      case 'AwaitShutdown':
      case 'AwaitSettled':
      case 'Nothing':
        return undefined
    }
  }

  /** The effect of a call when it arrives, however late. */
  #arrive(state: State, call: Call): string | undefined {
    if (call.kind === 'host') return this.#onHost(state, call)
    if (!call.fresh) return undefined
    touch(state, call.key)
    if (call.kind === 'slot') {
      state.slots[call.key] = call.set
      return undefined
    }
    const vm = state.vms[call.key]
    if (vm?.uid !== call.uid) return undefined
    Object.assign(vm, call.set)
    if (vm.slot === '') delete vm.slot
    if (vm.deleting && !vm.finalizer) state.vms[call.key] = null
    return undefined
  }

  #onHost(state: State, { host: name, uid, verb, slot = '' }: Call & HostCall): string | undefined {
    const host = hostIn(state, name)
    const machine = host.machines[uid]
    const vm = state.vms[nameOf(uid)]
    const lives = vm?.uid === uid && !vm.deleting
    switch (verb) {
      case 'CreateDisk':
        host.volumes[uid] = true
        return undefined
      case 'Define':
        host.machines[uid] = machine
          ? { ...machine, parked: false, slot }
          : { running: false, parked: false, slot, reason: 'Unknown' }
        return undefined
      case 'Start':
        // A start that is refused wipes the reason of the last stop.
        if (machine && !machine.running) Object.assign(machine, { running: !machine.parked, reason: 'Unknown' })
        return undefined
      case 'Park':
        if (machine) machine.parked = true
        return undefined
      case 'ShutDown':
        if (machine?.running) turnOff(host, uid, 'Guest')
        return undefined
      case 'PowerOff':
        if (machine?.running) turnOff(host, uid, 'Outside')
        return undefined
      case 'Undefine':
        if (lives) return `${uid} is undefined while its object lives`
        if (machine && !machine.running) delete host.machines[uid]
        return undefined
      case 'DeleteVolume':
        if (lives || this.configuration.retained?.includes(nameOf(uid))) return `the disk of ${uid} is deleted`
        if (machine?.running) return `the disk of ${uid} is deleted under a running guest`
        delete host.volumes[uid]
        return undefined
    }
  }

  // ---------------------------------------------------------------- what must hold

  /** In every state. Undefined: all is well. */
  violation(state: State): string | undefined {
    const bySlot = new Map<string, string>()
    const byUID = new Map<string, string>()
    for (const [name, { machines }] of Object.entries(state.hosts)) {
      for (const [uid, { running, slot }] of Object.entries(machines)) {
        if (!running) continue
        const claims = Object.entries(state.slots).filter(([, { consumer }]) => consumer === uid)
        const here = claims.find(([claimed]) => this.#hostOf(claimed) === name)?.[0]
        if (here === undefined) return `${uid} runs on ${name} without a claim`
        const other = bySlot.get(here) ?? bySlot.get(slot)
        if (other !== undefined) return `${other} and ${uid} run on ${here}`
        if (byUID.has(uid)) return `${uid} runs on two hosts`
        bySlot.set(here, uid)
        byUID.set(uid, name)
      }
    }
    return undefined
  }

  /** Nothing is on its way, and no pass would do anything. */
  atRest(state: State): boolean {
    if (state.worker || state.calls.length > 0 || Object.values(state.stale).some(({ fresh }) => !fresh)) return false
    if (Object.values(state.hosts).some(({ up }) => !up)) return false
    return [...Object.keys(state.vms), ...Object.keys(state.slots)].every((key) => !this.#next(state, state, key))
  }

  /** At rest: what was wished for is so. Undefined: it is. */
  goalMissed(state: State): string | undefined {
    // One call later than T may leave a thing behind, or make our own stop look like the guest's: by design.
    const excused = (state.faults.late ?? 0) < (this.configuration.faults.late ?? 0)
    const alive = new Set<string>()
    for (const vm of Object.values(state.vms)) {
      if (!vm) continue
      alive.add(vm.uid)
      const missed = this.#missed(state, vm, excused)
      if (missed !== undefined) return missed
    }
    for (const [name, { consumer }] of Object.entries(state.slots)) {
      if (consumer !== undefined && !alive.has(consumer)) return `${name} is leaked to ${consumer}`
    }
    for (const { machines, volumes } of Object.values(state.hosts)) {
      const left = [...Object.keys(machines), ...Object.keys(volumes).filter((uid) => !this.#retains(uid))]
      const orphan = left.find((uid) => !alive.has(uid))
      if (orphan !== undefined && !excused) return `${orphan} is left behind on a host`
    }
    return undefined
  }

  #retains = (uid: string): boolean => this.configuration.retained?.includes(nameOf(uid)) ?? false

  #missed(state: State, vm: VM, excused: boolean): string | undefined {
    const { uid } = vm
    if (vm.deleting) return `the deletion of ${uid} never ends`
    const desired = this.#desired(state, vm)
    const machine = state.hosts[vm.hypervisor ?? '']?.machines[uid]
    const [claim, ...more] = desired.claims
    if (!wantsToRun(desired)) {
      if (machine?.running) return `${uid} should be off`
      if (claim) return `${uid} is off and keeps ${claim.slot}`
      if (vm.slot !== undefined) return `${uid} is off and has ${vm.slot} recorded`
      const guestActed = (state.faults.guest ?? 0) < (this.configuration.faults.guest ?? 0)
      if (vm.halted && !guestActed && !excused) return `our own stop of ${uid} was taken for its guest's wish`
      return machine && !machine.parked ? `${uid} is off without a claim, and could be started` : undefined
    }
    if (machine?.running) {
      const agree = claim?.slot === vm.slot && claim?.slot === machine.slot && claim?.phase === 'Bound'
      return agree && more.length === 0 ? undefined : `${uid} runs, but claim, record and host disagree`
    }
    if (claim) return `${uid} holds ${claim.slot} and never starts`
    const free = Object.entries(state.slots).some(
      ([slot, { phase }]) => phase === 'Free' && (vm.hypervisor ?? this.#hostOf(slot)) === this.#hostOf(slot),
    )
    return free ? `${uid} waits while a slot is free` : undefined
  }
}

type Emit = (label: string, fault: boolean, change: (state: State) => string | false | undefined) => void

const newVM = (uid: string): VM => ({
  uid,
  finalizer: false,
  deleting: false,
  powerState: 'Running',
  runSeen: false,
  halted: false,
  diskMade: false,
})

const hostIn = ({ hosts }: State, name: string): Host => {
  const host = hosts[name]
  if (!host) throw new Error(`no host ${name}`)
  return host
}

function turnOff({ machines }: Host, uid: string, reason: Machine['reason']): void {
  const machine = machines[uid]
  if (machine) Object.assign(machine, { running: false, reason })
}

/** A write to an object makes every other that is based on the version before void. */
function touch(state: State, key: string): void {
  for (const call of state.calls) if (call.kind !== 'host' && call.key === key) call.fresh = false
  if (state.worker?.at === 'Reading' && !state.worker.dirty.includes(key)) state.worker.dirty.push(key)
  const stale = state.stale[key]
  if (stale) stale.fresh = false
}

function send(state: State, call: Write | HostCall, isFresh: (key: string) => boolean): void {
  const fresh = call.kind === 'host' || isFresh(call.key)
  state.calls.push({ ...call, fresh, awaited: true, beyondT: false })
  state.calls.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  state.worker = { at: 'Waiting' }
}

/** The T rule: it sees every call that is not beyond T. */
const isSettled = ({ calls }: State, uid: string): boolean =>
  !calls.some((call) => call.kind === 'host' && call.uid === uid && !call.beyondT)

function observationOf({ machines, volumes }: Host, uid: string): MachineObservation {
  const machine = machines[uid]
  const tag = { schema: 1, cluster: '', namespace: '', name: nameOf(uid), uid, instanceID: uid, owner: '' } as const
  return {
    ...(machine
      ? {
          machine: {
            tag: { ...tag, slot: machine.slot },
            id: uid,
            hostName: uid,
            power: machine.running ? 'Running' : 'Stopped',
            stopReason: machine.reason,
            parked: machine.parked,
            transient: false,
            cpus: 1,
            memory: 1,
          },
        }
      : {}),
    volumes: volumes[uid] ? [{ pool: 'pool', name: volumeNames.disk(uid, 'root'), capacity: 1, allocation: 1 }] : [],
    pools: ['pool'],
  }
}

const demandOf = ({ instanceID, hypervisor }: Desired) => ({
  uid: instanceID,
  since: '',
  cpus: 1,
  memory: 1,
  architecture: 'x86_64',
  tolerations: [],
  networks: [],
  ...(hypervisor === undefined ? {} : { disksOn: hypervisor }),
})

const slotOffer = (name: string, hypervisor: string, free: boolean) => ({
  name,
  labels: {},
  taints: [],
  cpus: 1,
  memory: 1,
  open: true,
  free,
  occupied: false,
  hypervisor: {
    name: hypervisor,
    reachable: true,
    open: true,
    architectures: ['x86_64'],
    pools: [{ name: 'pool', order: 0, room: 1 }],
    networks: new Set<string>(),
  },
})

const show = (call: Write | HostCall): string =>
  call.kind === 'host'
    ? `${call.verb}(${call.uid}${call.slot === undefined ? '' : ` in ${call.slot}`})`
    : `${call.key} := ${JSON.stringify(call.set)}`
