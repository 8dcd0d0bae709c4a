/** What a pass does, given what it read: the world's values are put before the real planner, and its step becomes an action. */
import type { MachineObservation } from '../../../hypervisor/port.ts'
import { volumeNames } from '../../../hypervisor/port.ts'
import type { Decision, Demand, SlotOffer } from '../../../placement/index.ts'
import { planSlot } from '../../slot/plan.ts'
import type { Claim, Desired, HostObservation, Observed, Step } from '../model.ts'
import { wantsToRun } from '../plan.ts'
import type { Protocol } from './protocol.ts'
import {
  type Action,
  type ApiObject,
  type Configuration,
  type Host,
  isDown,
  nameOf,
  type Slot,
  type VM,
} from './state.ts'

/** What a pass knows. */
export interface Reading {
  readonly objects: readonly ApiObject[]
  readonly hosts: readonly Host[]
  /** The T rule's answer. */
  readonly isSettled: (uid: string) => boolean
  readonly asked: Readonly<Record<string, 'Asked' | 'TimedOut'>>
}

export interface Pass {
  readonly action: Action
  /** The planner's; none in a Slot's pass, which always reads live. */
  readonly step?: Step
}

/** Tokens are alike: what counts is whether one is served. */
const theRestart = { token: 'token', mode: 'Warm' } as const

export class Passes {
  readonly slotNames: readonly string[]
  readonly hostNames: readonly string[]
  readonly #configuration: Configuration
  readonly #protocol: Protocol

  constructor(configuration: Configuration, protocol: Protocol) {
    this.#configuration = configuration
    this.#protocol = protocol
    this.slotNames = Object.keys(configuration.slots)
    this.hostNames = [...new Set(Object.values(configuration.slots))]
  }

  readonly hostOf = (slot: string): string => this.#configuration.slots[slot] ?? ''
  readonly slotAt = (objects: readonly ApiObject[], slot: string): Slot =>
    objects[this.#configuration.vms.length + this.slotNames.indexOf(slot)] as Slot
  readonly vmsIn = (objects: readonly ApiObject[]): VM[] =>
    objects.slice(0, this.#configuration.vms.length).filter((vm) => vm !== null) as VM[]

  /** The pass over one object; undefined: it changes nothing. */
  over(object: number, reading: Reading): Pass | undefined {
    const vms = this.#configuration.vms.length
    if (object >= vms) return this.#slotPass(object, this.slotNames[object - vms] ?? '', reading)
    const vm = reading.objects[object] as VM | null
    if (!vm) return undefined
    const desired = this.desiredOf(reading.objects, vm)
    const observed = this.#observedOf(reading, desired)
    const step = this.#protocol.plan(desired, observed)
    const action = this.#actionOf(step, object, desired, observed, reading)
    if (action) return { action, step }
    // A status that says something new is written though there is no step.
    const told = { ...statusFacts(desired, observed, vm) }
    return Object.entries(told).some(([field, value]) => vm[field as keyof VM] !== value)
      ? { action: { kind: 'VM', object, uid: vm.uid, set: told }, step }
      : undefined
  }

  desiredOf(objects: readonly ApiObject[], vm: VM): Desired {
    const { uid, finalizer, deleting, powerState, runSeen, halted, restart, saving, diskMade } = vm
    const claims = this.claimsOf(objects, uid, vm)
    const [claim] = this.#protocol.shortcut === 'NoRecord' ? claims : []
    const { slot, hypervisor } = claim ?? vm
    return {
      instanceID: uid,
      finalizer,
      deleting,
      powerState,
      shutdownMode: this.#configuration.shutdownMode ?? 'TrySoft',
      claims,
      ...(slot === '' ? {} : { recordedSlot: slot }),
      ...(hypervisor === '' ? {} : { hypervisor }),
      runSeen,
      ...(halted && powerState === 'Running' && restart !== 'Asked' ? { halted: 'Guest' as const } : {}),
      onGuestShutdown: this.#configuration.onGuestShutdown ?? 'Stop',
      onCrash: 'Restart',
      saving,
      seenThere: runSeen,
      ...(restart === 'Asked' ? { restart: theRestart } : {}),
      ...(restart === 'Begun' ? { restarting: theRestart } : {}),
      diskMade,
      retainedDisks: this.#configuration.retained?.includes(nameOf(uid)) ? ['root'] : [],
    }
  }

  claimsOf(objects: readonly ApiObject[], uid: string, vm?: VM): Claim[] {
    const claim = (slot: string, phase: Claim['phase'], occupied: boolean): Claim => ({
      slot,
      hypervisor: this.hostOf(slot),
      phase,
      occupied,
    })
    if (this.#protocol.shortcut === 'ClaimInStatus') {
      const recorded = (vm ?? this.vmsIn(objects).find((other) => other.uid === uid))?.slot ?? ''
      return recorded === '' ? [] : [claim(recorded, 'Bound', false)]
    }
    return this.slotNames.flatMap((name) => {
      const { consumer, phase, occupied } = this.slotAt(objects, name)
      return consumer === uid && (phase === 'Bound' || phase === 'Releasing') ? [claim(name, phase, occupied)] : []
    })
  }

  #observedOf(reading: Reading, desired: Desired): Observed {
    const names = new Set(desired.claims.map(({ hypervisor }) => hypervisor))
    if (desired.hypervisor !== undefined) names.add(desired.hypervisor)
    const placement = this.#placementOf(reading, desired)
    const asked = reading.asked[desired.instanceID]
    return {
      hosts: new Map([...names].map((name) => [name, this.#look(reading, name, desired.instanceID)])),
      ...(placement === undefined ? {} : { placement }),
      rootPool: 'pool',
      imagePlaced: true,
      settled: reading.isSettled(desired.instanceID),
      startDelayed: false,
      shutdown: { askedLately: asked === 'Asked', timedOut: asked === 'TimedOut' },
    }
  }

  #look({ hosts }: Reading, name: string, uid: string): HostObservation {
    const host = hosts[this.hostNames.indexOf(name)]
    if (!host?.up) return { reachable: false, message: `${name} is away` }
    return { reachable: true, observation: observationOf(host, uid) }
  }

  #placementOf({ objects, hosts }: Reading, desired: Desired): Decision | undefined {
    if (!wantsToRun(desired) || desired.claims.length > 0) return undefined
    const vms = this.vmsIn(objects)
    const waiting = vms.filter(
      (vm) => vm.slot === '' && wantsToRun(this.desiredOf(objects, vm)) && this.claimsOf(objects, vm.uid).length === 0,
    )
    const self = vms.find(({ uid }) => uid === desired.instanceID)
    if (!self) return undefined
    const offers = this.slotNames.map((name) => {
      const { phase, consumer, occupied } = this.slotAt(objects, name)
      const hypervisor = this.hostOf(name)
      const recorded = this.#protocol.shortcut === 'ClaimInStatus' && vms.some(({ slot }) => slot === name)
      const free = phase === 'Free' && consumer === '' && !recorded
      return slotOffer(name, { free, occupied }, hypervisor, hosts[this.hostNames.indexOf(hypervisor)]?.up === true)
    })
    return this.#protocol.place(demandOf(self), waiting.map(demandOf), offers)
  }

  #actionOf(step: Step, object: number, desired: Desired, observed: Observed, reading: Reading): Action | undefined {
    const uid = desired.instanceID
    const facts = statusFacts(desired, observed, reading.objects[object] as VM)
    const onVM = (set: Partial<VM>): Action => ({ kind: 'VM', object, uid, set: { ...facts, ...set } })
    const onSlot = (name: string, set: Partial<Slot>): Action => ({
      kind: 'Slot',
      object: this.#configuration.vms.length + this.slotNames.indexOf(name),
      set: { ...this.slotAt(reading.objects, name), ...set },
    })
    const onHost = (verb: Extract<Action, { kind: 'Host' }>['verb'], slot = ''): Action | undefined => {
      const host = this.hostNames.indexOf(desired.hypervisor ?? '')
      return reading.hosts[host]?.up ? { kind: 'Host', host, uid, verb, slot } : undefined
    }
    switch (step.do) {
      case 'AddFinalizer':
        return { kind: 'VM', object, uid, set: { finalizer: true } }
      case 'RemoveFinalizer':
        return { kind: 'VM', object, uid, set: { finalizer: false } }
      case 'Claim':
        if (this.#protocol.shortcut === 'ClaimInStatus')
          return onVM({ slot: step.slot, hypervisor: this.hostOf(step.slot), runSeen: false })
        return this.#isOccupied(step.slot, uid, reading.hosts)
          ? undefined
          : onSlot(step.slot, { consumer: uid, phase: 'Bound' })
      case 'Record':
        return onVM({
          slot: step.slot,
          hypervisor: step.hypervisor,
          runSeen: false,
          halted: false,
          ...(desired.restart ? { restart: 'None' } : {}),
        })
      case 'MarkRunning':
        return onVM({ runSeen: true })
      case 'MarkStopped':
        return onVM({ runSeen: false, halted: step.stays, restart: 'None' })
      case 'ServeRestart':
        return onVM({ restart: 'None' })
      case 'BeginSuspend':
        return onVM({ saving: true })
      case 'BeginRestart':
        return onVM({ restart: 'Begun' })
      case 'ClearRecord':
        // What was begun is served by the next start.
        return onVM({ runSeen: false, slot: '', ...(desired.restarting ? { restart: 'Asked' } : {}) })
      case 'Drain':
        return onSlot(step.slot, { phase: 'Releasing' })
      case 'Release':
        return onSlot(step.slot, { consumer: '', phase: 'Free' })
      case 'Define':
        return onHost(this.#protocol.shortcut === 'DefineAndStart' ? 'DefineAndStart' : 'Define', step.slot)
      case 'Start':
        return onHost(step.paused ? 'StartPaused' : 'Start')
      case 'CreateDisk':
      case 'Pause':
      case 'Unpause':
      case 'Suspend':
      case 'DiscardMemory':
      case 'Park':
      case 'ShutDown':
      case 'PowerOff':
      case 'Undefine':
      case 'DeleteVolume':
        return onHost(step.do)
      // A machine of this world has its root disk alone, and no interfaces.
      case 'RecordDisks':
      case 'AttachDisk':
      case 'DetachDisk':
      case 'GrowDisk':
      case 'AttachInterface':
      case 'DetachInterface':
      case 'Wait':
      case 'AwaitHost':
      case 'AwaitShutdown':
      case 'AwaitRestart':
      case 'AwaitSettled':
      case 'Nothing':
        return undefined
    }
  }

  /** The host's list, right before a claim and in a Slot's pass: another machine runs under this slot's tag. */
  #isOccupied(slot: string, holder: string, hosts: readonly Host[]): boolean {
    if (this.#protocol.shortcut === 'UnseenOccupants') return false
    const machines = hosts[this.hostNames.indexOf(this.hostOf(slot))]?.machines ?? {}
    return Object.entries(machines).some(
      ([uid, machine]) => uid !== holder && machine.slot === slot && !isDown(machine),
    )
  }

  /** As slot/reconciler.ts and slot/orphan.ts have it. */
  #slotPass(object: number, name: string, reading: Reading): Pass | undefined {
    const slot = reading.objects[object] as Slot
    const { consumer } = slot
    const index = this.hostNames.indexOf(this.hostOf(name))
    const host = reading.hosts[index]
    const machine = host?.machines[consumer]
    const alive = this.vmsIn(reading.objects).some(({ uid }) => uid === consumer)
    const onHost = (verb: 'Park' | 'PowerOff' | 'Undefine', uid: string): Pass => ({
      action: { kind: 'Host', host: index, uid, verb, slot: '' },
    })
    if (this.#protocol.shortcut === 'Sweep' && host?.up) {
      const uids = new Set(this.vmsIn(reading.objects).map(({ uid }) => uid))
      const lost = Object.entries(host.machines).find(([uid]) => !uids.has(uid))
      if (lost) return onHost(isDown(lost[1]) ? 'Undefine' : 'PowerOff', lost[0])
    }
    let abandoned = false
    if (consumer !== '' && !alive && host?.up && this.#protocol.shortcut !== 'KeepOrphans') {
      abandoned = machine !== undefined && !isDown(machine)
      if (machine && !abandoned && !machine.parked) return onHost('Park', consumer)
      if (!abandoned && !reading.isSettled(consumer)) return undefined
      if (!abandoned) {
        const set: Slot =
          slot.phase === 'Bound' ? { ...slot, phase: 'Releasing' } : { ...slot, consumer: '', phase: 'Unavailable' }
        return { action: { kind: 'Slot', object, set } }
      }
    }
    const { phase, facts } = planSlot({
      deleting: false,
      phase: slot.phase,
      hypervisor: host?.up ? 'Reachable' : 'Unreachable',
      occupants: host?.up && this.#isOccupied(name, consumer, reading.hosts) ? ['another'] : [],
      abandoned,
      ...(consumer === '' ? {} : { consumer: { uid: consumer, name: consumer } }),
    })
    const occupied = facts.some(({ type }) => type === 'Occupied')
    if (phase === slot.phase && occupied === slot.occupied) return undefined
    return { action: { kind: 'Slot', object, set: { ...slot, phase, occupied } } }
  }
}

/**
 * What any write of the status says besides its step: the disk was seen; the user has spoken since the guest's wish; its
 * memory is not being saved any more.
 */
function statusFacts(
  { hypervisor, instanceID, powerState }: Desired,
  { hosts, settled }: Observed,
  vm: VM,
): Pick<VM, 'diskMade' | 'halted' | 'saving'> {
  const seen = hosts.get(hypervisor ?? '')
  const machine = seen?.reachable && instanceID === vm.uid ? seen.observation.machine : undefined
  const runs = machine?.power === 'Running' || machine?.power === 'Paused'
  return {
    diskMade: vm.diskMade || (seen?.reachable === true && seen.observation.volumes.length > 0),
    halted: vm.halted && vm.powerState === 'Running',
    saving: vm.saving && runs && (powerState === 'Suspended' || !settled),
  }
}

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
            power: machine.power,
            pauseReason: machine.saving ? 'Job' : 'Asked',
            stopReason: machine.reason,
            parked: machine.parked,
            transient: machine.transient,
            cpus: 1,
            memory: 1,
            disks: [],
            interfaces: [],
          },
        }
      : {}),
    volumes: volumes.includes(uid)
      ? [{ pool: 'pool', name: volumeNames.disk(uid, 'root'), capacity: 1, allocation: 1 }]
      : [],
    pools: ['pool'],
  }
}

const demandOf = ({ uid, since, hypervisor }: VM): Demand => ({
  uid,
  priority: 0,
  since,
  cpus: 1,
  memory: 1,
  architecture: 'x86_64',
  tolerations: [],
  networks: [],
  ...(hypervisor === '' ? {} : { disksOn: hypervisor }),
})

const slotOffer = (
  name: string,
  { free, occupied }: Pick<SlotOffer, 'free' | 'occupied'>,
  hypervisor: string,
  reachable: boolean,
): SlotOffer => ({
  names: [name],
  labels: {},
  taints: [],
  cpus: 1,
  memory: 1,
  open: true,
  free,
  occupied,
  hypervisor: {
    name: hypervisor,
    reachable,
    open: true,
    architectures: ['x86_64'],
    modes: ['HVM'],
    pools: [{ name: 'pool', order: 0, room: 1 }],
    networks: new Set<string>(),
  },
})
