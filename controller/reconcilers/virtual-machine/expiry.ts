/**
 * When a machine's life-time is over, and what was said of it before. Pure: the time is given.
 *
 * Nothing expires by the clock alone: condition ExpiresSoon has said for ten minutes first that this very end is near. So
 * a life-time that is over already when it is set or shortened, and a clock that jumps ahead, leave time to see it and to
 * change it. The condition's own time tells since when: for another end, and for the last warning, it is taken out for a
 * pass, and begins anew.
 */
import { parseDuration, type VirtualMachine } from '../../api/index.ts'
import type { EventRecord, ReadObject } from '../../kube/port.ts'
import type { ConditionFact } from '../../runtime/port.ts'
import { conditionOf, isTrue } from '../shared/conditions.ts'
import { referenceTo } from '../shared/references.ts'

type Stage = 'WithinAWeek' | 'WithinADay' | 'WithinAnHour' | 'Expired'

export interface Expiry {
  /** status.expiresAt. */
  readonly at: string
  /** How near it is; absent: not near enough to say so. */
  readonly stage?: Stage
  readonly message: string
  /** Milliseconds until more can be said, or it is over. Absent: all was said. */
  readonly nextLook?: number
}

const hour = 3_600_000
const warnings = [
  { stage: 'WithinAWeek', before: 7 * 24 * hour },
  { stage: 'WithinADay', before: 24 * hour },
  { stage: 'WithinAnHour', before: hour },
] as const
/** So long it was said to be near before it is over, ms. */
const saidFor = 600_000
/** A status that could not be written is tried again so soon, ms. */
const again = 1_000

const secondsOf = (time: number): string => new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')

/** `now`: ms since 1970. */
export function expiryOf(vm: VirtualMachine, now: number): Expiry | undefined {
  const end = endOf(vm)
  if (end === undefined || vm.metadata.deletionTimestamp !== undefined) return undefined
  const remaining = end - now
  // Of a short life only the last warning fits, from its beginning on.
  const fitting = warnings.filter(({ stage, before }) => before < lifeTime(vm) || stage === 'WithinAnHour')
  const near = fitting.findLast(({ before }) => remaining <= before)?.stage
  const told = vm.status?.conditions?.find(({ type }) => type === 'ExpiresSoon')
  const isOfAnother = vm.status?.expiresAt !== secondsOf(end)
  const isEarlier = near === 'WithinAnHour' && told?.reason !== near && told?.reason !== 'Expired'
  const beginsAnew = told !== undefined && (isOfAnother || isEarlier)
  const since = Date.parse(told?.lastTransitionTime ?? secondsOf(now))
  const over = Math.max(end, since + saidFor)
  const stage = beginsAnew ? undefined : near && told && now >= over ? 'Expired' : near
  const changes = [...fitting.map(({ before }) => end - before), over].filter((time) => time > now)
  const isToBeSaid = stage !== told?.reason || isOfAnother
  const nextLook = isToBeSaid ? again : changes.length > 0 ? Math.min(...changes) - now : undefined
  return {
    at: secondsOf(end),
    ...(stage === undefined ? {} : { stage }),
    message: messageOf(vm, stage === 'Expired' ? undefined : secondsOf(near ? over : end)),
    ...(nextLook === undefined ? {} : { nextLook }),
  }
}

/** As it was recorded, and for as long as the spec says the same: no clock is asked. */
export const isExpired = (vm: VirtualMachine): boolean => {
  const end = endOf(vm)
  return (
    end !== undefined && conditionOf(vm, 'ExpiresSoon')?.reason === 'Expired' && vm.status?.expiresAt === secondsOf(end)
  )
}

export const isProtected = ({ spec }: VirtualMachine): boolean => spec.deletionProtection === 'Enabled'

const lifeTime = ({ spec }: VirtualMachine): number => parseDuration(spec.expiresAfter ?? '0s')

function endOf(vm: VirtualMachine): number | undefined {
  const { creationTimestamp } = vm.metadata
  if (vm.spec.expiresAfter === undefined || creationTimestamp === undefined) return undefined
  return Date.parse(creationTimestamp) + lifeTime(vm)
}

/** `when`: absent, it is now. */
function messageOf(vm: VirtualMachine, when: string | undefined): string {
  const life = `its life-time of ${vm.spec.expiresAfter} since its creation (spec.expiresAfter)`
  const begin = when === undefined ? `${life} is over` : `${life} ends; at ${when}`
  const then = isProtected(vm)
    ? 'the machine is stopped, since deletionProtection is Enabled'
    : vm.spec.deletionPolicy === 'Retain'
      ? 'this object is deleted, and its machine stays on its host (deletionPolicy Retain)'
      : 'this object is deleted, with its machine and disks (deletionPolicy Delete)'
  return `${begin}${when === undefined ? ':' : ''} ${then}; raise expiresAfter or take it out to keep it`
}

export const expiresSoon = ({ stage, message }: Expiry): ConditionFact | undefined =>
  stage && isTrue('ExpiresSoon', stage, message)

/** A warning, once for each; what is over is told by what is done then. */
export function eventOfExpiry(vm: ReadObject<VirtualMachine>, expiry: Expiry | undefined): EventRecord | undefined {
  if (expiry?.stage === undefined || expiry.stage === 'Expired') return undefined
  const isTold = conditionOf(vm, 'ExpiresSoon')?.reason === expiry.stage && vm.status?.expiresAt === expiry.at
  if (isTold) return undefined
  const line = { type: 'Warning', action: 'Expire', reason: 'ExpiresSoon', note: expiry.message } as const
  return { regarding: referenceTo(vm), ...line, actor: 'berth' }
}
