/** What a course of the planner must have come to. Each answers what is wrong; undefined: all is well. */
import { plan, wantsToRun } from '../plan.ts'
import { type Course, follow, type Pair } from './ideal.ts'
import { isDown } from './state.ts'

/**
 * No course takes more: stop, give back, claim anew, build, start, which are 14, and a wait each for the guest and for the
 * next start.
 */
const mostSteps = 16

export interface Verdict {
  readonly fault: string | undefined
  /** Steps until it came to rest. */
  readonly steps: number
}

/** Follows the planner from that pair to where it comes to rest. */
export function judge(pair: Pair, next = plan): Verdict {
  try {
    const course = follow(pair, next)
    return { fault: findFault(course), steps: course.steps.length }
  } catch (error) {
    return { fault: String(error), steps: 0 }
  }
}

function findFault(course: Course): string | undefined {
  const { last, steps } = course
  if (steps.length > mostSteps) return `${steps.length} steps`
  return last.do === 'Wait' ? findUnfoundedWait(course) : findUnreached(course.end)
}

/** Where nothing is left to be done, what was desired is so. */
function findUnreached({ desired, hosts }: Pair): string | undefined {
  if (desired.deleting) return desired.finalizer ? 'the deletion ends with the finalizer there' : undefined
  const { claims, recordedSlot, hypervisor, runSeen } = desired
  const host = hosts[hypervisor ?? '']
  const machine = host?.machine
  if (desired.restarting && wantsToRun(desired)) return 'a restart never ends'
  if (desired.powerState === 'Suspended' && machine?.power === 'Suspended' && claims.length > 0)
    return claims.length === 1 && claims[0]?.phase === 'Bound' && claims[0].slot === recordedSlot
      ? undefined
      : 'it is suspended without its recorded claim'
  if (wantsToRun(desired)) {
    const [claim, ...more] = claims
    if (more.length > 0 || claim?.phase !== 'Bound' || claim.slot !== recordedSlot)
      return 'not exactly the recorded claim'
    if (!host?.disk) return 'it runs without its disk'
    if (desired.restart && desired.powerState === 'Running') return 'a restart is never begun'
    if (machine?.power !== desired.powerState || machine.parked || machine.transient || machine.slot !== claim.slot)
      return 'it does not run as it should'
    return runSeen ? undefined : 'the run is not marked'
  }
  if (claims.length > 0) return 'it is off and keeps a claim'
  if (recordedSlot !== undefined) return 'it is off and has a slot recorded'
  if (machine && !isDown(machine)) return 'it should be off'
  return machine && !machine.parked && !isStray(machine) ? 'it is off and could be started' : undefined
}

/** What somebody saved while no claim was held cannot be parked: the claim that it is started under is what it lacks. */
const isStray = ({ power }: { readonly power: string }): boolean => power === 'Suspended'

/** Who waits does so for what is there. */
function findUnfoundedWait({ last, end }: Course): string | undefined {
  if (last.do !== 'Wait') return undefined
  const { desired, hosts, facts, hasRoom } = end
  const host = hosts[desired.hypervisor ?? '']
  const { code } = last.problem
  const elsewhere = Object.entries(hosts).some(([name, { machine }]) => machine && name !== desired.hypervisor)
  const claimed = desired.claims.some(({ hypervisor }) => hypervisor === desired.hypervisor)
  const unclaimed = !claimed && host?.machine !== undefined && !isDown(host.machine)
  const occupied = desired.claims.some((claim) => claim.occupied)
  const founded: Partial<Record<typeof code, boolean>> = {
    HypervisorUnreachable: Object.values(hosts).some(({ reachable }) => !reachable),
    ForeignObject: elsewhere || unclaimed || occupied || Object.values(hosts).some(({ foreign }) => foreign),
    GuestRefusesShutdown:
      desired.shutdownMode === 'Soft' && (facts.shutdown.timedOut || host?.machine?.power === 'Suspended'),
    Vanished: (desired.runSeen || desired.seenThere) && !host?.machine,
    DiskMissing: desired.diskMade && !host?.disk,
    GuestCrashed: desired.halted === 'Crash',
    NothingToSuspend: desired.powerState === 'Suspended' && host?.machine?.power !== 'Suspended',
    WaitingForImage: !facts.imagePlaced,
    WaitingForSlot: !hasRoom,
    StoragePoolNotFound: facts.rootPool === undefined,
  }
  const told = [facts.problem?.code, facts.poolProblem?.code]
  return founded[code] === true || told.includes(code) ? undefined : `it waits for ${code}: ${last.problem.message}`
}
