import { isDeepStrictEqual } from 'node:util'
import type { Condition, ConditionFact } from './port.ts'

/**
 * The conditions to write: `lastTransitionTime` moves only with a status, those that were there keep their place, new
 * ones follow in the order of the facts, and those without a fact are dropped.
 */
export function mergeConditions(
  previous: readonly Condition[] | undefined,
  facts: readonly ConditionFact[],
  generation: number,
  nowISO: string,
): Condition[] {
  const before = new Map((previous ?? []).map((condition) => [condition.type, condition]))
  const told = new Map(facts.map((fact) => [fact.type, fact]))
  const order = new Set([...before.keys(), ...told.keys()])
  const merged: Condition[] = []
  for (const type of order) {
    const fact = told.get(type)
    if (fact === undefined) continue
    const last = before.get(type)
    merged.push({
      type,
      status: fact.status,
      reason: fact.reason,
      message: fact.message,
      observedGeneration: generation,
      lastTransitionTime: last?.status === fact.status ? last.lastTransitionTime : toSeconds(nowISO),
    })
  }
  return merged
}

/** metav1.Time has whole seconds; the server would cut the rest, and the next comparison would see a change. */
const toSeconds = (iso: string): string => iso.replace(/\.\d+Z$/, 'Z')

/** Deep equality of what would be sent: order of keys and absent members do not matter, order of lists does. */
export const sameStatus = (a: unknown, b: unknown): boolean => isDeepStrictEqual(toSent(a), toSent(b))

const toSent = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))
