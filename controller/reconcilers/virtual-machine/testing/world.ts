/**
 * A small world for the real planner: objects with compare-and-swap, hosts, controllers, and calls on their way that
 * arrive whenever they like. Only what the claim protocol speaks of is in it. `successors` tells every next state, which
 * is all that a search or a walk needs.
 */
import { wantsToRun } from '../plan.ts'
import { arrive } from './arrival.ts'
import { Draft, Layout, View } from './draft.ts'
import { findMissedGoal, findOvertaken, findViolation } from './invariants.ts'
import { abandon, freeWorker, newVM, restart, tellHosts, tellUsers } from './misfortunes.ts'
import { Parts } from './parts.ts'
import { type Pass, Passes, type Reading } from './passes.ts'
import { type Protocol, realProtocol } from './protocol.ts'
import { Reads } from './reads.ts'
import {
  type Action,
  type ApiObject,
  type Call,
  type Configuration,
  type Controller,
  type Faults,
  type Host,
  nameOf,
  type Slot,
  type State,
  type VM,
  type Worker,
} from './state.ts'

export interface Successor {
  readonly label: () => string
  readonly state: State
  /** A `Fault` is what a user, a guest or misfortune does: a fair run without faults has none. `Send`: a call is sent. */
  readonly kind: 'Fault' | 'Send' | 'Other'
  /** What must not have happened. */
  readonly violation: string | undefined
}

export class World {
  readonly configuration: Configuration
  readonly layout: Layout
  readonly #protocol: Protocol
  readonly #onlyGuests: boolean
  readonly #parts = new Parts()
  readonly #passes: Passes
  readonly #reads: Reads
  readonly #outcomes = new Map<string, Pass | null>()

  /** `onlyGuests`: nothing is asked but that no two guests run on one slot, and none on two hosts. */
  constructor(configuration: Configuration, protocol: Protocol = realProtocol, onlyGuests = false) {
    this.configuration = configuration
    this.layout = new Layout(configuration)
    this.#protocol = protocol
    this.#onlyGuests = onlyGuests
    this.#passes = new Passes(configuration, protocol)
    this.#reads = new Reads(configuration, this.#parts, this.layout)
  }

  get asksForGuestsOnly(): boolean {
    return this.#onlyGuests
  }

  initial(): State {
    const { vms, disksOn, unknown, workers = 1, faults } = this.configuration
    const slot: Slot = { consumer: '', phase: 'Free', occupied: false }
    const running = { power: 'Running', parked: false, transient: false, reason: 'Unknown', saving: false } as const
    const hostWith = (name: string): Host => ({
      up: true,
      machines:
        unknown !== undefined && this.#passes.hostOf(unknown) === name ? { x1: { ...running, slot: unknown } } : {},
      volumes: [],
    })
    const controller = (index: number): Controller => ({
      leads: index === 0,
      deposed: false,
      workers: Array.from({ length: workers }, () => null),
      stale: {},
      asked: {},
    })
    const values = [
      ...vms.map((name, index) => newVM(`${name}1`, index, disksOn?.[name])),
      ...this.#passes.slotNames.map(() => slot),
      ...this.#passes.hostNames.map(hostWith),
      ...Array.from({ length: this.layout.controllers }, (_, index) => controller(index)),
      [],
      faults,
    ]
    return Int32Array.from(values, (value) => this.#parts.numberOf(value))
  }

  /** Tells every state that may follow. */
  successors(before: State, emit: (successor: Successor) => void): void {
    const view = this.#view(before)
    const change: Change = (kind, label, work) => {
      const draft = new Draft(before, this.#parts, this.layout)
      const told = work(draft)
      emit({ label, state: draft.state, kind, violation: typeof told === 'string' ? told : undefined })
    }
    const left = view.faults
    const tell: Parameters<typeof tellUsers>[3] = (fault, label, work) => {
      if (fault !== undefined && !left[fault]) return
      change(fault === undefined ? 'Other' : 'Fault', label, (draft) => {
        if (fault !== undefined) draft.spend(fault)
        work(draft)
      })
    }
    tellUsers(view, this.configuration, this.layout, tell)
    tellHosts(view, this.#passes, tell)
    this.#tellCalls(view, left, change)
    for (let index = 0; index < this.layout.controllers; index++) this.#tellController(view, index, left, change)
  }

  #view = (state: State): View => new View(state, this.#parts, this.layout)
  #nameOfObject = (index: number): string =>
    index < this.layout.vms
      ? (this.configuration.vms[index] ?? '')
      : (this.#passes.slotNames[index - this.layout.vms] ?? '')

  // ---------------------------------------------------------------- calls on their way

  #tellCalls(view: View, left: Faults, change: Change): void {
    const { calls } = view
    for (const [index, call] of calls.entries()) {
      const { action, controller, worker } = call
      const awaited = controller >= 0
      const become = (draft: Draft, ...others: Call[]) => {
        draft.setCalls([...calls.slice(0, index), ...others, ...calls.slice(index + 1)])
        if (awaited) freeWorker(draft, controller, worker)
      }
      if (action.kind !== 'Host' || view.host(action.host).up) {
        change(
          'Other',
          () => `${awaited ? '' : 'late: '}${this.#show(action)} arrives`,
          (draft) => {
            become(draft)
            return arrive(draft, call, this.configuration, this.#protocol)
          },
        )
      }
      const loses = (fault: 'slow' | 'late' | 'lost', label: () => string, ...others: Call[]) => {
        if (!left[fault]) return
        change('Fault', label, (draft) => {
          draft.spend(fault)
          become(draft, ...others)
        })
      }
      const [alone] = abandon([call], () => true) as [Call]
      if (awaited) {
        loses('slow', () => `the answer to ${this.#show(action)} is lost (it arrives within T)`, alone)
        loses('lost', () => `${this.#show(action)} is lost on its way`)
      }
      if (awaited || (action.kind === 'Host' && !call.beyondT))
        loses('late', () => `${this.#show(action)} will arrive later than T`, { ...alone, beyondT: true })
    }
  }

  // ---------------------------------------------------------------- controllers

  #tellController(view: View, index: number, left: Faults, change: Change): void {
    const controller = view.controller(index)
    if (!controller.leads) return
    const name = this.layout.controllers > 1 ? `controller ${index + 1}` : 'the controller'
    const busy = controller.workers.some((worker) => worker !== null) || Object.keys(controller.asked).length > 0
    if (left.crash && busy) {
      change(
        'Fault',
        () => `${name} crashes`,
        (draft) => {
          draft.spend('crash')
          restart(draft, index, !controller.deposed)
        },
      )
    }
    if (controller.deposed) {
      change(
        'Other',
        () => `${name} notices that it was deposed`,
        (draft) => restart(draft, index, false),
      )
    } else if (left.depose && this.layout.controllers > 1) this.#tellDeposition(view, index, change)
    for (const uid of Object.keys(controller.asked)) {
      if (controller.asked[uid] === 'TimedOut') continue
      change(
        'Other',
        () => `the time of ${uid} to shut down is over`,
        (draft) => draft.setController(index, { ...controller, asked: { ...controller.asked, [uid]: 'TimedOut' } }),
      )
    }
    this.#tellCache(view, index, left, change)
    for (const [number, worker] of controller.workers.entries()) {
      if (worker?.at === 'Reading') this.#tellDecision(view, index, number, worker, change)
    }
    // Workers are alike: the first that is idle stands for all.
    const idle = controller.workers.indexOf(null)
    if (idle >= 0) this.#tellPasses(view, index, idle, name, change)
  }

  #tellDeposition(view: View, index: number, change: Change): void {
    const other = 1 - index
    if (view.controller(other).leads) return
    change(
      'Fault',
      () => `the lease goes from controller ${index + 1} to ${other + 1}`,
      (draft) => {
        draft.spend('depose')
        if (this.#protocol.shortcut === 'NoGuard')
          draft.setController(index, { ...draft.controller(index), deposed: true })
        else restart(draft, index, false)
        draft.setController(other, { ...draft.controller(other), leads: true })
      },
    )
  }

  #tellCache(view: View, index: number, left: Faults, change: Change): void {
    const controller = view.controller(index)
    for (let object = 0; object < this.layout.objects; object++) {
      const stale = controller.stale[object]
      if (stale?.fresh === false) {
        change(
          'Other',
          () => `the cache catches up on ${this.#nameOfObject(object)}`,
          (draft) => {
            const { [object]: _, ...rest } = controller.stale
            draft.setController(index, { ...controller, stale: rest })
          },
        )
      } else if (!stale && left.lag) {
        change(
          'Fault',
          () => `the cache stops following ${this.#nameOfObject(object)}`,
          (draft) => {
            draft.spend('lag')
            const part = view.state[object] ?? 0
            draft.setController(index, {
              ...controller,
              stale: { ...controller.stale, [object]: { part, fresh: true } },
            })
          },
        )
      }
    }
  }

  /** A pass has read the API; now it looks at the hosts, and sends its one call. */
  #tellDecision(
    view: View,
    index: number,
    number: number,
    worker: Extract<Worker, { at: 'Reading' }>,
    change: Change,
  ): void {
    const controller = view.controller(index)
    const { object } = worker
    // The shortcut that has looked at the hosts already reads the API only now.
    const hostFirst = worker.hosts.length > 0
    const { read, written } = hostFirst ? this.#reads.live(view, controller, object) : worker
    const hosts = hostFirst ? worker.hosts : this.#hostParts(view.state)
    const pass = this.#pass(object, read, hosts, view, controller)
    if (!pass) {
      change(
        'Other',
        () => `the pass over ${this.#nameOfObject(object)} does nothing`,
        (draft) => freeWorker(draft, index, number),
      )
      return
    }
    const order = this.#overtakes(pass.action, read)
    change(
      this.#isExcused(controller) ? 'Other' : 'Send',
      () => `the hosts are observed, ${this.#show(pass.action)} is sent`,
      (draft) => {
        this.#send(draft, index, number, object, pass.action, written)
        return order
      },
    )
  }

  #tellPasses(view: View, index: number, idle: number, name: string, change: Change): void {
    const controller = view.controller(index)
    for (let object = 0; object < this.layout.objects; object++) {
      if (controller.workers.some((worker) => worker?.object === object)) continue
      const isBehind = Object.keys(controller.stale).length > 0
      if (isBehind) this.#tellCachedPass(view, index, idle, object, change)
      if (this.#cannotMatter(view, object)) continue
      change(
        'Other',
        () => `${name} reads ${this.#nameOfObject(object)}`,
        (draft) => {
          const { read, written } = this.#reads.live(view, controller, object)
          const hosts = this.#protocol.shortcut === 'HostFirst' ? this.#hostParts(view.state) : []
          const worker: Worker =
            hosts.length > 0
              ? { at: 'Reading', object, read: [], written: 0, hosts }
              : { at: 'Reading', object, read, written, hosts }
          draft.setController(index, { ...controller, workers: controller.workers.with(idle, worker) })
        },
      )
    }
  }

  /** A pass on the cache goes as far as the steps that may be decided there. */
  #tellCachedPass(view: View, index: number, idle: number, object: number, change: Change): void {
    const controller = view.controller(index)
    const { read, written } = this.#reads.cached(view, controller)
    const pass = this.#pass(object, read, this.#hostParts(view.state), view, controller)
    if (!pass?.step || this.#protocol.needsLiveRead(pass.step)) return
    const { step, action } = pass
    change(
      this.#isExcused(controller) ? 'Other' : 'Send',
      () => `on the cache ${this.#show(action)} is sent`,
      (draft) => {
        this.#send(draft, index, idle, object, action, written)
        const live = view.object(object) as VM | null
        const stops = step.do === 'ShutDown' || step.do === 'PowerOff' || step.do === 'Drain'
        const uid = (this.#parts.valueOf(read[object] ?? 0) as VM).uid
        const wanted = live?.uid === uid && wantsToRun(this.#passes.desiredOf(view.objects, live))
        return stops && wanted
          ? `${uid} is wanted, and ${step.do} is decided on a stale read`
          : this.#overtakes(action, read)
      },
    )
  }

  /** Nothing would be done, whatever the hosts show. */
  #cannotMatter(view: View, object: number): boolean {
    const value = view.object(object)
    if (object < this.layout.vms) return value === null
    const { consumer, phase } = value as Slot
    const { faults, unknown } = this.configuration
    if (phase === 'Unavailable' || faults.down || unknown !== undefined || this.#protocol.shortcut === 'Sweep')
      return false
    return consumer === '' || this.#passes.vmsIn(view.objects).some(({ uid }) => uid === consumer)
  }

  // ---------------------------------------------------------------- deciding and sending

  #hostParts = (state: State): number[] => [...state.slice(this.layout.objects, this.layout.firstController)]

  #pass(
    object: number,
    read: readonly number[],
    hosts: readonly number[],
    view: View,
    { asked }: Controller,
  ): Pass | undefined {
    // What the T rule sees: every call that is not beyond T.
    const unsettled = new Set<string>()
    for (const { action, beyondT } of view.calls) {
      if (action.kind !== 'Host' || beyondT) continue
      if (this.#protocol.shortcut !== 'UncountedShutDown' || action.verb !== 'ShutDown') unsettled.add(action.uid)
    }
    const key = `${object};${read};${hosts};${[...unsettled]};${Object.entries(asked)}`
    const known = this.#outcomes.get(key)
    if (known !== undefined) return known ?? undefined
    const reading: Reading = {
      objects: read.map((part) => this.#parts.valueOf(part) as ApiObject),
      hosts: hosts.map((part) => this.#parts.valueOf(part) as Host),
      isSettled: (uid) => !unsettled.has(uid),
      asked,
    }
    const pass = this.#passes.over(object, reading)
    this.#outcomes.set(key, pass ?? null)
    return pass
  }

  #send(draft: Draft, index: number, number: number, object: number, action: Action, written: number): void {
    const controller = draft.controller(index)
    const fresh = action.kind === 'Host' || (written & (1 << action.object)) === 0
    // The next leader cannot know of what a deposed one sends.
    draft.setCalls([...draft.calls, { action, fresh, controller: index, worker: number, beyondT: controller.deposed }])
    const waits = action.kind === 'Host' && action.verb === 'ShutDown' && this.#isDeaf(action.uid)
    const ends = action.kind === 'VM' && action.set.slot === ''
    const { [action.kind === 'Slot' ? '' : action.uid]: before, ...others } = controller.asked
    const asked = waits
      ? { ...others, [action.uid]: 'Asked' as const }
      : ends || before === undefined
        ? others
        : controller.asked
    draft.setController(index, {
      ...controller,
      workers: controller.workers.with(number, { at: 'Waiting', object }),
      asked: Object.fromEntries(Object.entries(asked).sort(([a], [b]) => (a < b ? -1 : 1))),
    })
  }

  /** For other guests it makes no difference how often they are asked. */
  #isDeaf = (uid: string): boolean => this.configuration.deaf?.includes(nameOf(uid)) ?? false

  /** What may go on for ever without being a fault of the protocol: a cache that never catches up. */
  #isExcused({ stale }: Controller): boolean {
    return Object.values(stale).some(({ fresh }) => !fresh)
  }

  #overtakes(action: Action, read: readonly number[]): string | undefined {
    if (action.kind !== 'Slot' || action.set.phase !== 'Bound') return undefined
    const objects = read.map((part) => this.#parts.valueOf(part) as ApiObject)
    return findOvertaken(action.set.consumer, this.#nameOfObject(action.object), objects, this.#passes)
  }

  #show(action: Action): string {
    if (action.kind !== 'Host') return `${this.#nameOfObject(action.object)} := ${JSON.stringify(action.set)}`
    return `${action.verb}(${action.uid}${action.slot === '' ? '' : ` in ${action.slot}`})`
  }

  // ---------------------------------------------------------------- what must hold

  /** In every state. Undefined: all is well. */
  violation(state: State): string | undefined {
    return findViolation(this.#judged(state), this.#onlyGuests)
  }

  /** Nothing is on its way, and no pass would do anything. */
  atRest(state: State): boolean {
    const view = this.#view(state)
    if (view.calls.length > 0 || view.hosts.some(({ up }) => !up)) return false
    const leader = view.controllers.find(({ leads }) => leads)
    for (const { workers, stale, deposed, asked } of view.controllers) {
      if (deposed || workers.some((worker) => worker !== null)) return false
      if (Object.values(stale).some(({ fresh }) => !fresh)) return false
      if (Object.values(asked).includes('Asked')) return false
    }
    if (view.hosts.some(({ machines }) => Object.values(machines).some(({ saving }) => saving))) return false
    const read = [...state.slice(0, this.layout.objects)]
    const hosts = this.#hostParts(state)
    return read.every((_, object) => !leader || !this.#pass(object, read, hosts, view, leader))
  }

  /** At rest: what was wished for is so. Undefined: it is. */
  goalMissed(state: State): string | undefined {
    return findMissedGoal(this.#judged(state))
  }

  #judged = (state: State) => ({ view: this.#view(state), passes: this.#passes, configuration: this.configuration })
}

/** What happens; it may answer what must not have happened. */
type Work = ((draft: Draft) => string | undefined) | ((draft: Draft) => void)
type Change = (kind: Successor['kind'], label: () => string, work: Work) => void
