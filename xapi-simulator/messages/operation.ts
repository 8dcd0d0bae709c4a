import { vdiRefusal } from '../state/vdi-operations.ts'
import { refusal } from '../state/vm-operations.ts'
import type { Call } from './call.ts'

/**
 * Carries out an operation on a VM: refuses it as xapi would, shows it in `current_operations` for the time that it
 * takes, then has its effect. What `prepare` throws keeps the operation from beginning.
 */
export async function operateOnVm<T>(
  call: Call,
  vm: string,
  operation: string,
  effect: () => T,
  prepare: () => void = () => {},
): Promise<Awaited<T>> {
  const { database } = call.pool
  const record = database.get('VM', vm)
  const refused = refusal(vm, record, operation, call.pool.surroundings(record), false)
  if (refused !== undefined) throw refused
  prepare()
  return during(call, 'VM', vm, operation, effect)
}

/** As operateOnVm, for a VDI. */
export async function operateOnVdi<T>(
  call: Call,
  vdi: string,
  operation: string,
  effect: () => T,
): Promise<Awaited<T>> {
  const { pool } = call
  const record = pool.database.get('VDI', vdi)
  const surroundings = { attached: pool.attachedBy(record), plugged: pool.isPlugged(record.SR) }
  const refused = vdiRefusal(vdi, record, operation, surroundings)
  if (refused !== undefined) throw refused
  return during(call, 'VDI', vdi, operation, effect)
}

async function during<T>(
  { pool: { database }, task, work }: Call,
  className: 'VM' | 'VDI',
  reference: string,
  operation: string,
  effect: () => T,
): Promise<Awaited<T>> {
  const current = () => database.find(className, reference)?.current_operations
  database.update(className, reference, { current_operations: { ...current(), [task]: operation } })
  try {
    await work()
    return await effect()
  } finally {
    const left = current()
    if (left !== undefined) {
      const { [task]: _, ...current_operations } = left
      database.update(className, reference, { current_operations })
    }
  }
}
