import type { Condition } from '../../api/index.ts'
import type { KubeClient, KubeObject, ReadObject, Resource } from '../../kube/port.ts'
import { mergeConditions, sameStatus } from '../../runtime/conditions.ts'
import type { ConditionFact } from '../../runtime/port.ts'

type WithStatus = KubeObject & { readonly status?: { readonly conditions?: readonly Condition[] } }

/** Writes a status as a compare-and-swap on what it was computed from, and only if it changed. */
export async function writeStatus<T extends WithStatus>(
  client: KubeClient,
  resource: Resource<T>,
  read: ReadObject<T>,
  fields: Omit<NonNullable<T['status']>, 'conditions' | 'observedGeneration'>,
  facts: readonly ConditionFact[],
  options: { readonly now: string; readonly signal: AbortSignal },
): Promise<ReadObject<T>> {
  const generation = read.metadata.generation ?? 1
  const status = {
    ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)),
    observedGeneration: generation,
    conditions: mergeConditions(read.status?.conditions ?? [], facts, generation, options.now),
  } as unknown as NonNullable<T['status']>
  return sameStatus(read.status, status) ? read : client.applyStatus(resource, read, status, { signal: options.signal })
}
