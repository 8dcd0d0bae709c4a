import type { ErrorCode } from '../../errors/index.ts'
import { type ErrorClass, errorTable } from '../../errors/index.ts'
import type { ConditionFact } from '../../runtime/port.ts'

interface WithConditions {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string }[]
  }
}

export const conditionOf = <T extends WithConditions>(object: T, type: string) =>
  object.status?.conditions?.find((condition) => condition.type === type)

export const conditionIs = (object: WithConditions, type: string, status: 'True' | 'False' | 'Unknown'): boolean =>
  conditionOf(object, type)?.status === status

export const isTrue = (type: string, reason: string, message: string): ConditionFact => ({
  type,
  status: 'True',
  reason,
  message,
})
export const isFalse = (type: string, reason: string, message: string): ConditionFact => ({
  type,
  status: 'False',
  reason,
  message,
})
export const isUnknown = (type: string, reason: string, message: string): ConditionFact => ({
  type,
  status: 'Unknown',
  reason,
  message,
})

/** Whether a reason of Ready=False means that a person must act (kstatus: Stalled) or that Berth goes on (Reconciling). */
export function stalls(reason: string): boolean {
  const errorClass: ErrorClass | undefined = reason in errorTable ? errorTable[reason as ErrorCode].class : undefined
  return errorClass === 'Terminal'
}

/**
 * Ready and its companions by kstatus: Reconciling and Stalled are there only while they hold, and exclude each other.

 */
export function summarize(ready: ConditionFact): ConditionFact[] {
  if (ready.status === 'True') return [ready]
  const companion = stalls(ready.reason) ? 'Stalled' : 'Reconciling'
  return [ready, isTrue(companion, ready.reason, ready.message)]
}
