import { beforeEach, describe, expect, it } from '@jest/globals'
import { storagePools } from '../../api/index.ts'
import { aMachine, anImage, aPool, conditionTypes, GiB, Lab, readyOf } from '../testing/lab.ts'
import { StoragePoolReconciler } from './reconciler.ts'

let lab: Lab
let reconciler: StoragePoolReconciler

beforeEach(() => {
  lab = new Lab().furnish()
  reconciler = new StoragePoolReconciler(lab.dependencies)
  lab.kube.put({ ...aPool(), status: undefined } as never)
  lab.kube.put(anImage('debian', { status: { placements: [] } }))
})

const pass = () => lab.pass(reconciler, 'default')
const pool = () => {
  const found = lab.kube.peek(storagePools, { name: 'default' })
  if (!found) throw new Error('gone')
  return found
}
const onHost = () => {
  const found = lab.host.pools.get('default')
  if (!found) throw new Error('gone')
  return found
}

describe('a storage pool', () => {
  it('tells its room', async () => {
    await pass()
    expect(readyOf(pool())).toBe('True Available')
    expect(pool().status).toMatchObject({ capacity: '100Gi', free: '100Gi', volumes: 0 })
  })

  it('is not written for each byte', async () => {
    await pass()
    const { length } = lab.kube.writes
    onHost().volumes.set('small', 2 ** 20)
    await pass()
    expect(lab.kube.writes).toHaveLength(length)
    onHost().volumes.set('large', 10 * GiB)
    await pass()
    expect(pool().status?.free).not.toBe('100Gi')
  })

  it('says when less is left than is kept back', async () => {
    lab.kube.put(aPool('default', { reserve: '200Gi' }))
    await pass()
    expect(conditionTypes(pool())).toContain('SpaceLow')
  })

  it('is made where a path says so, and only then', async () => {
    lab.host.pools.clear()
    await expect(pass()).rejects.toMatchObject({ code: 'PoolNotFound' })
    expect(lab.host.calls).toEqual([])
    lab.kube.put(aPool('default', { path: '/srv/berth' }))
    await pass()
    expect(lab.host.calls.map(({ method }) => method)).toEqual(['definePool'])
    expect(readyOf(pool())).toBe('True Available')
  })

  it.each<[string, () => void, string]>([
    ['not started', () => Object.assign(onHost(), { active: false }), 'PoolInactive'],
    ['of another type', () => Object.assign(onHost(), { type: 'LVM' }), 'TypeMismatch'],
    ['away', () => lab.disconnect(), 'HypervisorUnreachable'],
  ])('that is %s keeps what was known, and is looked at again', async (_, arrange, code) => {
    await pass()
    arrange()
    await expect(pass()).rejects.toMatchObject({ code, retryAfter: expect.any(Number) })
    expect(readyOf(pool())).toBe(`False ${code}`)
    expect(pool().status?.capacity).toBe('100Gi')
  })

  it('stays while an image is placed in it', async () => {
    lab.kube.put(anImage())
    lab.kube.markDeleted(storagePools, { name: 'default' })
    await pass()
    expect(pool().status?.conditions?.[0]?.message).toContain('ClusterImage debian')
  })

  it('stays while disks are in it, and says whose', async () => {
    lab.kube.put({ ...aMachine(), status: { disks: [{ name: 'root', storagePool: 'default' }] } } as never)
    lab.kube.markDeleted(storagePools, { name: 'default' })
    await pass()
    expect(readyOf(pool())).toBe('False InUse')
    expect(pool().status?.conditions?.[0]?.message).toContain('team/web')
  })

  it('is let go of without touching the host', async () => {
    lab.kube.markDeleted(storagePools, { name: 'default' })
    await pass()
    expect(lab.kube.peek(storagePools, { name: 'default' })).toBeUndefined()
    expect(lab.host.calls).toEqual([])
  })
})
