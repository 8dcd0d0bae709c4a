import { XapiError } from '../errors.ts'
import type { Pool } from '../state/pool.ts'
import type { Handlers } from './call.ts'

export function isFinished(status: string): boolean {
  return status === 'success' || status === 'failure' || status === 'cancelled'
}

/** Makes a task that is pending. */
export function makeTask(pool: Pool, label: string, host: string, description = ''): string {
  return pool.database.create('task', {
    name_label: label,
    name_description: description,
    created: pool.now(),
    status: 'pending',
    resident_on: host,
    type: '<none/>',
    backtrace: '()',
    allowed_operations: ['cancel'],
  })
}

/** Ends a task; one that is gone or has ended stays as it is. An outcome is a result, as XML, or an error. */
export function finishTask(pool: Pool, task: string, outcome: { result: string } | { error: XapiError }): void {
  const record = pool.database.find('task', task)
  if (record === undefined || isFinished(record.status)) return
  if (Object.values(record.current_operations).includes('destroy')) {
    pool.database.remove('task', task)
    return
  }
  const cancelled = 'error' in outcome && outcome.error.code === 'TASK_CANCELLED'
  pool.database.update('task', task, {
    ...('result' in outcome ? { result: outcome.result } : {}),
    ...('error' in outcome && !cancelled ? { error_info: outcome.error.description } : {}),
    status: 'result' in outcome ? 'success' : cancelled ? 'cancelled' : 'failure',
    progress: 1,
    finished: pool.now(),
    current_operations: {},
    allowed_operations: [],
  })
}

export const taskMessages: Handlers<'task'> = {
  create({ pool, member }, { label, description }) {
    return makeTask(pool, label, member.host, description)
  },
  destroy({ pool }, { self }) {
    const { status, current_operations } = pool.database.get('task', self)
    if (isFinished(status) || !pool.cancellations.has(self)) pool.database.remove('task', self)
    else pool.database.update('task', self, { current_operations: { ...current_operations, task: 'destroy' } })
    return undefined
  },
  cancel(call, { task }) {
    const { database, cancellations } = call.pool
    const { allowed_operations } = database.get('task', task)
    if (!allowed_operations.includes('cancel')) throw new XapiError('OPERATION_NOT_ALLOWED', 'The task has ended')
    database.update('task', task, { current_operations: { [call.task]: 'cancel' } })
    cancellations.get(task)?.()
    return undefined
  },
  set_status({ pool }, { self, value }) {
    pool.database.update('task', self, {
      status: value,
      ...(isFinished(value) ? { finished: pool.now(), allowed_operations: [] } : {}),
    })
    return undefined
  },
  set_progress({ pool }, { self, value }) {
    pool.database.update('task', self, { progress: value })
    return undefined
  },
  set_result({ pool }, { self, value }) {
    pool.database.update('task', self, { result: value })
    return undefined
  },
  set_error_info({ pool }, { self, value }) {
    pool.database.update('task', self, { error_info: value })
    return undefined
  },
}
