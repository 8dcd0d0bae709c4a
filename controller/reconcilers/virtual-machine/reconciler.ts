import jsonPatch from 'fast-json-patch'
import { type VirtualMachine, virtualMachines } from '../../api/index.ts'
import { type BerthError, toBerthError } from '../../errors/index.ts'
import { sameStatus } from '../../runtime/conditions.ts'
import type { ReconcileContext, Reconciler, Result } from '../../runtime/port.ts'
import { retried } from '../shared/retried.ts'
import { isUntried } from '../shared/untried.ts'
import { act } from './act.ts'
import { ClaimsUnderWay } from './claims.ts'
import { Definitions, type Dependencies, type Memory, Resizes, StartAttempts, Stops } from './dependencies.ts'
import { DiskAttempts } from './disk-memory.ts'
import { eventOfExpiry } from './expiry.ts'
import { eventOfProblem, eventOfStep } from './history.ts'
import { InterfaceAttempts } from './interface-memory.ts'
import { isRefusedChange } from './interface-work.ts'
import { needsLiveRead, type Problem, type Step } from './model.ts'
import { fromCache, observe, readLive } from './observe.ts'
import { Parties } from './parties.ts'
import { isPaused } from './paused.ts'
import { isStopping, plan } from './plan.ts'
import { statusOf } from './status.ts'
import { machineOf, type View } from './view.ts'
import { SlotWaits } from './waiting.ts'

/** Effects after which the next pass follows at once, and tells what came of them. */
const toldByNext: ReadonlySet<Step['do']> = new Set([
  'Claim',
  'LeaseAddresses',
  'Start',
  'Pause',
  'Unpause',
  'Suspend',
  'Resize',
  'DiscardMemory',
])

/** They write the object itself; its status follows in the next pass, on what was written. */
const writesObject: ReadonlySet<Step['do']> = new Set(['AddFinalizer', 'RemoveFinalizer', 'Expire'])

/** Steps of a stop before its guest is asked. */
const beforeQuestion: ReadonlySet<Step['do']> = new Set([
  'Start',
  'Unpause',
  'Define',
  'LeaseAddresses',
  'AwaitHost',
  'AwaitSettled',
])

/** What no watch tells is looked for so often while something waits for it. */
const lookAgainAfter = 60_000

const soonest = (result: Result, within: number | undefined): Result =>
  within === undefined ? result : { ...result, requeueAfter: Math.min(result.requeueAfter ?? within, within) }

/**
 * Brings one machine to what its object declares, a step a pass.
 *
 * Guarantees: at most one effect a pass; what destroys or starts anything is decided on live reads, API first, then
 * host; the status is written once a pass, only if it changed, and only over the version that it was computed from.
 * Assumption: one pass per key at a time (the queue sees to it).
 */
export class VirtualMachineReconciler implements Reconciler {
  readonly name = 'virtualmachine'
  readonly #dependencies: Dependencies
  readonly #memory: Memory = {
    shutdowns: new Stops(),
    starts: new StartAttempts(),
    claims: new ClaimsUnderWay(),
    definitions: new Definitions(),
    resizes: new Resizes(),
    disks: new DiskAttempts(),
    interfaces: new InterfaceAttempts(),
  }
  readonly #waits = new SlotWaits()

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies
  }

  async reconcile(key: string, { signal, log }: ReconcileContext): Promise<Result> {
    const vm = this.#dependencies.caches.virtualMachines.get(key)
    if (!vm) return {}
    if (isPaused(vm)) return {}
    if (this.#waitsForHosts(vm)) return { requeueAfter: 1_000 }
    const decided = await this.#decide(key, signal)
    if (!decided) return { requeueAfter: 1_000 }
    const { view, step } = decided
    if (step.do === 'Claim' && this.#isOnUntriedHost(step.slot)) return { requeueAfter: 1_000 }
    if (step.do === 'Claim' && !this.#beginClaim(view, step.slot)) return { requeueAfter: 0 }
    this.#countStop(view, step)
    let failure: BerthError | undefined
    try {
      await act(step, view, this.#dependencies, this.#memory, signal)
    } catch (error) {
      failure = toBerthError(error)
    }
    if (step.do === 'Claim')
      this.#memory.claims.ended(view.vm, step.slot, failure, this.#dependencies.clock.monotonic())
    if (failure?.class === 'Conflict' || failure?.code === 'NotLeader') throw failure
    log.debug({ step: step.do, failure: failure?.code }, 'pass')
    if (failure && isRefusedChange(step, failure)) {
      // The next pass tells it as a change that waits.
      this.#tell(view, step, failure, failure)
      return { requeueAfter: 0 }
    }
    const problem: Problem | undefined = failure ?? (step.do === 'Wait' ? step.problem : undefined)
    await this.#writeStatus(view, step, problem, { signal, log })
    this.#tell(view, step, problem, failure)
    if (failure) throw retried(failure, 5 * lookAgainAfter)
    return soonest(this.#next(view, step), view.expiry?.nextLook)
  }

  /** A host of its own was not tried yet by this process: that is no news of the machine. */
  #waitsForHosts({ metadata, status }: VirtualMachine): boolean {
    const claimed = this.#dependencies.caches.slots.byIndex('consumer', metadata.uid ?? '')
    const names = [status?.hypervisor, ...claimed.map(({ spec }) => spec.hypervisor)]
    return names.some((name) => name !== undefined && isUntried(name, this.#dependencies))
  }

  /** shutdownTimeout counts from the first step of a stop, not from the question: what comes before may fail too. */
  #countStop({ vm, desired }: View, step: Step): void {
    if (!isStopping(desired) || !beforeQuestion.has(step.do)) return
    const { shutdowns } = this.#memory
    shutdowns.began(desired.instanceID, vm.metadata.generation ?? 1, this.#dependencies.clock.monotonic())
  }

  #isOnUntriedHost(slot: string): boolean {
    const hypervisor = this.#dependencies.caches.slots.get(slot)?.spec.hypervisor
    return hypervisor !== undefined && isUntried(hypervisor, this.#dependencies)
  }

  /**
   * Since the slot was chosen this pass has waited for others, and they may have claimed: nothing is awaited between this
   * look and the claim, which the next one counts. False: somebody is there now that keeps it away.
   */
  #beginClaim({ vm }: View, name: string): boolean {
    const { caches, clock } = this.#dependencies
    const slot = caches.slots.get(name)
    if (!slot) return true
    if (!new Parties(caches, this.#memory.claims, clock.monotonic()).admits(vm, slot)) return false
    this.#memory.claims.began(vm, slot)
    return true
  }

  /** The step to take. What needs it is decided anew on live reads; undefined: the object is gone, or paused. */
  async #decide(key: string, signal: AbortSignal): Promise<{ view: View; step: Step } | undefined> {
    const cached = this.#dependencies.caches.virtualMachines.get(key)
    if (!cached) return undefined
    const source = fromCache(cached, this.#dependencies)
    const view = await observe(source, this.#dependencies, this.#memory, signal)
    const step = plan(view.desired, view.observed)
    if (!needsLiveRead(step)) return { view, step }
    const live = await readLive(source, this.#dependencies, signal)
    if (!live || isPaused(live.vm)) return undefined
    const liveView = await observe(live, this.#dependencies, this.#memory, signal)
    return { view: liveView, step: plan(liveView.desired, liveView.observed) }
  }

  async #writeStatus(
    view: View,
    step: Step,
    problem: Problem | undefined,
    { signal, log }: ReconcileContext,
  ): Promise<void> {
    if (writesObject.has(step.do)) return
    if (!problem && toldByNext.has(step.do)) return
    const { client, clock, recorder } = this.#dependencies
    const status = statusOf(view, step, problem, new Date(clock.now()).toISOString())
    if (sameStatus(view.vm.status, status) || !this.#waits.isDue(view, problem, clock.monotonic())) return
    log.debug({ changes: jsonPatch.compare(view.vm.status ?? {}, status) }, 'status')
    await client.applyStatus(virtualMachines, view.vm, status, { signal })
    const expiring = eventOfExpiry(view.vm, view.expiry)
    if (expiring) recorder.record(expiring)
  }

  #tell(view: View, step: Step, problem: Problem | undefined, failure: BerthError | undefined): void {
    const event = failure ? undefined : eventOfStep(step, view)
    const trouble = problem && eventOfProblem(problem, step, view.vm)
    for (const record of [event, trouble]) if (record) this.#dependencies.recorder.record(record)
  }

  /** An effect is looked at right away; what waits is woken by a change, and looked at again in case none is told. */
  #next(view: View, step: Step): Result {
    const { instanceID } = view.desired
    switch (step.do) {
      case 'Wait':
        return { requeueAfter: lookAgainAfter }
      case 'AwaitSettled':
        return { requeueAfter: view.settlesIn + 10 }
      case 'AwaitRestart':
        return { requeueAfter: view.startsIn + 10 }
      case 'AwaitHost':
      case 'AwaitShutdown':
        return { requeueAfter: 2_000 }
      case 'ShutDown':
        return { requeueAfter: 1_000 }
      case 'RemoveFinalizer':
        this.#forget(instanceID)
        this.#dependencies.settling.forget(instanceID)
        return {}
      case 'MarkStopped':
        this.#memory.shutdowns.forget(instanceID)
        // A restart that was asked for is none of those that are delayed.
        if (step.by === 'Berth' || view.desired.restart) this.#memory.starts.forget(instanceID)
        return { requeueAfter: 0 }
      case 'ServeRestart':
        this.#memory.starts.forget(instanceID)
        return { requeueAfter: 0 }
      case 'ClearRecord':
        this.#forget(instanceID)
        return { requeueAfter: 0 }
      case 'Nothing':
        return earliest(this.#awaitAddress(view), awaitDisks(view), awaitInterfaces(view))
      default:
        return { requeueAfter: 0 }
    }
  }

  #forget(instanceID: string): void {
    this.#memory.shutdowns.forget(instanceID)
    this.#memory.starts.forget(instanceID)
    this.#memory.definitions.forget(instanceID)
    this.#memory.resizes.forget(instanceID)
    this.#memory.disks.forget(instanceID)
    this.#memory.interfaces.forget(instanceID)
  }

  /** No host tells when a guest gets its address: it is looked up often at first, then ever less, for ten minutes. */
  #awaitAddress(view: View): Result {
    const { vm, desired, interfaces, resolved } = view
    const runs = desired.runSeen && machineOf(view)?.power === 'Running'
    const waiting = runs && 'value' in resolved.interfaces && resolved.interfaces.value.length > 0
    if (!waiting || interfaces.some(({ addresses }) => addresses.length > 0)) return {}
    // It may have gone on from a pause or from its saved memory since it started.
    const synced = vm.status?.conditions?.find(({ type }) => type === 'PowerStateSynced')
    const since = [vm.status?.startTime, synced?.lastTransitionTime]
    const age = this.#dependencies.clock.now() - Math.max(...since.map((time) => Date.parse(time ?? '') || 0))
    return age > 600_000 ? {} : { requeueAfter: Math.max(age / 10, 500) }
  }
}

const earliest = (...results: readonly Result[]): Result =>
  results.reduce((one, other) =>
    (other.requeueAfter ?? Number.POSITIVE_INFINITY) < (one.requeueAfter ?? Number.POSITIVE_INFINITY) ? other : one,
  )

/** No host tells when its pool has room again, and not every one when a guest lets a disk go. */
function awaitDisks({ observed, disksIn }: View): Result {
  if (disksIn !== undefined) return { requeueAfter: Math.min(disksIn, lookAgainAfter) }
  return observed.disks?.some(({ problem }) => problem) ? { requeueAfter: lookAgainAfter } : {}
}

/** Not every host tells when a guest lets an interface go; what was refused is tried again. */
const awaitInterfaces = ({ interfacesIn }: View): Result =>
  interfacesIn === undefined ? {} : { requeueAfter: Math.min(interfacesIn, lookAgainAfter) }
