import type { ImageService, ImageState } from '@berth/images'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { pino } from 'pino'
import { clusterImages, storagePools, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { TaskRunner } from '../../runtime/index.ts'
import { aMachine, anImage, conditionTypes, digest, Lab, readyOf } from '../testing/lab.ts'
import { imageKinds } from './kinds.ts'
import { ImageReconciler } from './reconciler.ts'

const content = Buffer.alloc(1_000, 7)
const rawForm = Buffer.alloc(4_000, 7)
const stored = {
  state: 'Ready',
  image: { digest, format: 'qcow2', virtualSize: 2 ** 31, storedSize: content.length, checksum: 'Matches' },
} as const satisfies ImageState

let lab: Lab
let reconciler: ImageReconciler
let state: ImageState
let released: string[]
let enqueued: number
let source: () => AsyncIterable<Uint8Array>
let rawFormsOpen: number

beforeEach(() => {
  lab = new Lab().furnish('s1')
  state = stored
  released = []
  enqueued = 0
  rawFormsOpen = 0
  source = async function* () {
    yield content
  }
  const service = {
    ensure: async () => state,
    release: async (id: string) => void released.push(id),
    open: () => source(),
    openRaw: async () => {
      rawFormsOpen++
      return {
        length: rawForm.length,
        digest: 'f'.repeat(64),
        async *open() {
          yield rawForm
        },
        close: async () => void rawFormsOpen--,
      }
    },
  } as unknown as ImageService
  const tasks = new TaskRunner(lab.clock, pino({ level: 'silent' }))
  reconciler = new ImageReconciler(imageKinds.clusterImage, {
    ...lab.dependencies,
    service,
    tasks,
    enqueue: () => void enqueued++,
  })
  lab.host.pools.get('default')?.images.clear()
  lab.kube.put(anImage('debian', { status: { digest: undefined, placements: undefined, state: undefined } }))
})

const pass = () => lab.pass(reconciler, 'debian')
const image = () => {
  const found = lab.kube.peek(clusterImages, { name: 'debian' })
  if (!found) throw new Error('gone')
  return found
}
/** A machine that is recorded in the pool and has no disk yet. */
const waiting = (disk = 'Creating') =>
  lab.kube.put({
    ...aMachine(),
    status: {
      slot: 's1',
      image: { kind: 'ClusterImage', name: 'debian', uid: image().metadata.uid, digest },
      disks: [{ name: 'root', storagePool: 'default', state: disk }],
    },
  } as never)
const placements = () => image().status?.placements
/** One pass records where the image is to be, the next sends it. */
const place = async () => {
  await pass()
  await pass()
}
const onHost = () => lab.host.pools.get('default')?.images

it('stays placed where it was complete, while its host cannot be looked at', async () => {
  waiting()
  const known = [{ storagePool: 'default', digest, state: 'Ready' as const }]
  lab.kube.put(anImage('debian', { status: { placements: known } }))
  lab.registry.remove('kvm1')
  await pass()
  expect(placements()).toEqual(known)
  lab.disconnect()
  await pass()
  expect(placements()).toEqual(known)
})

describe('what is fetched', () => {
  it.each<[string, ImageState, string, string[]]>([
    ['under way', { state: 'Fetching', received: 1, total: 4 }, 'False Fetching', ['Reconciling']],
    ['tried again', { state: 'Fetching', received: 1, retrying: 'reset' }, 'False TemporaryFailure', ['Reconciling']],
    ['being checked', { state: 'Verifying' }, 'False Verifying', ['Reconciling']],
    ['there', stored, 'True Available', []],
    [
      'not what was declared',
      { state: 'Failed', failure: 'ChecksumMismatch', message: '' },
      'False ChecksumMismatch',
      ['Stalled'],
    ],
  ])('%s', async (_, now, ready, companions) => {
    state = now
    await pass()
    expect(readyOf(image())).toBe(ready)
    expect(conditionTypes(image()).filter((type) => type === 'Reconciling' || type === 'Stalled')).toEqual(companions)
  })

  it('stays known while it is fetched anew: machines pin it', async () => {
    await pass()
    state = { state: 'Fetching', received: 1, total: 4 }
    await pass()
    expect(image().status).toMatchObject({ digest, format: 'QCOW2', virtualSize: '2Gi', progress: '25%' })
  })

  it('never becomes other content under one object', async () => {
    await pass()
    state = { state: 'Ready', image: { ...stored.image, digest: 'b'.repeat(64) } }
    await pass()
    expect(image().status).toMatchObject({ state: 'Failed', digest })
  })

  it('is quiet when nothing changes', async () => {
    await pass()
    const { length } = lab.kube.writes
    await pass()
    expect(lab.kube.writes).toHaveLength(length)
  })
})

describe('placing', () => {
  it('is done where a machine waits, and only there', async () => {
    await pass()
    expect(onHost()?.size).toBe(0)
    waiting()
    await place()
    expect(placements()).toMatchObject([{ storagePool: 'default', state: 'Placing' }])
    await lab.clock.advance(0)
    expect(enqueued).toBeGreaterThan(0)
    await pass()
    expect(placements()).toEqual([{ storagePool: 'default', digest, state: 'Ready' }])
    expect(onHost()?.get(digest)).toBe(content.length)
  })

  it('gives a host that takes raw disks alone the raw form, under the same digest, and lets go of it', async () => {
    const { information } = lab.host
    lab.host.information = { ...information, capabilities: { ...information.capabilities, imageFormats: ['raw'] } }
    waiting()
    await place()
    await lab.clock.advance(0)
    await pass()
    expect(placements()).toEqual([{ storagePool: 'default', digest, state: 'Ready' }])
    expect(lab.host.calls.find(({ method }) => method === 'placeImage')?.args[1]).toMatchObject({
      digest,
      format: 'raw',
      length: rawForm.length,
      contentDigest: 'f'.repeat(64),
    })
    expect(rawFormsOpen).toBe(0)
  })

  it('is recorded before the first byte is sent: a crash leaves nothing there that nobody knows of', async () => {
    waiting()
    await pass()
    expect(placements()).toMatchObject([{ storagePool: 'default', digest, state: 'Placing' }])
    await lab.clock.advance(0)
    expect(lab.host.calls).toEqual([])
  })

  it('ends before what was placed is removed: what is still being sent would stay for good', async () => {
    const sent = Promise.withResolvers<void>()
    source = async function* () {
      await sent.promise
      yield content
    }
    waiting()
    await place()
    lab.kube.remove(virtualMachines, { namespace: 'team', name: 'web' })
    lab.kube.markDeleted(clusterImages, { name: 'debian' })
    await expect(pass()).rejects.toMatchObject({ code: 'HypervisorBusy' })
    expect(lab.host.calls.map(({ method }) => method)).toEqual(['placeImage'])
    sent.resolve()
    await lab.clock.advance(0)
    await pass()
    expect(onHost()?.size).toBe(0)
    expect(lab.kube.peek(clusterImages, { name: 'debian' })).toBeUndefined()
  })

  it('is done once for many passes', async () => {
    waiting()
    await place()
    await pass()
    await lab.clock.advance(0)
    await pass()
    expect(lab.host.calls.filter(({ method }) => method === 'placeImage')).toHaveLength(1)
  })

  it('that failed is told, and tried again', async () => {
    waiting()
    source = async function* () {
      yield content.subarray(0, 1)
      throw new BerthError('TemporaryFailure', 'the store is away')
    }
    await place()
    await lab.clock.advance(0)
    expect((await pass()).requeueAfter).toBeGreaterThan(0)
    expect(image().status?.conditions?.find(({ type }) => type === 'Ready')?.message).toContain('the store is away')
    source = async function* () {
      yield content
    }
    // Not at once: what fails for good would be asked without pause.
    await lab.clock.advance(0)
    await pass()
    expect(placements()).toMatchObject([{ state: 'Failed' }])
    await lab.clock.advance(31_000)
    await pass()
    await lab.clock.advance(0)
    await pass()
    expect(placements()).toMatchObject([{ state: 'Ready' }])
  })

  it('is not gone on with when nobody waits any more', async () => {
    waiting()
    lab.disconnect()
    expect((await pass()).requeueAfter).toBeGreaterThan(0)
    lab.kube.remove(virtualMachines, { namespace: 'team', name: 'web' })
    expect(await pass()).toEqual({})
    lab.connect()
    await pass()
    await lab.clock.advance(0)
    expect(onHost()?.size).toBe(0)
    expect(placements()).toMatchObject([{ state: 'Failed' }])
  })

  it('into a pool whose object is gone is forgotten', async () => {
    lab.kube.put(anImage('debian', { status: { placements: [{ storagePool: 'gone', digest, state: 'Failed' }] } }))
    expect(await pass()).toEqual({})
    expect(placements()).toEqual([])
  })

  it('is not believed where a machine waits: the host is asked', async () => {
    lab.kube.put(anImage())
    waiting()
    await pass()
    expect(placements()).toMatchObject([{ state: 'Placing' }])
  })
})

describe('deletion', () => {
  const remove = () => lab.kube.markDeleted(clusterImages, { name: 'debian' })

  it('waits while a machine is made from it, also one that the cache does not show', async () => {
    lab.informers.virtualMachines.hold()
    waiting('Ready')
    remove()
    await pass()
    expect(readyOf(image())).toBe('False InUse')
    expect(released).toEqual([])
  })

  it('takes it out of pools and the store, then lets go', async () => {
    lab.kube.put(anImage())
    onHost()?.set(digest, 1)
    const { uid } = image().metadata
    remove()
    await pass()
    expect(onHost()?.size).toBe(0)
    expect(released).toEqual([uid])
    expect(lab.kube.peek(clusterImages, { name: 'debian' })).toBeUndefined()
  })

  it('leaves a placed copy that another image of the same content needs', async () => {
    lab.kube.put(anImage())
    lab.kube.put(anImage('twin'))
    onHost()?.set(digest, 1)
    remove()
    await pass()
    expect(onHost()?.size).toBe(1)
    expect(lab.kube.peek(clusterImages, { name: 'debian' })).toBeUndefined()
  })

  it('waits for a host that is away', async () => {
    lab.kube.put(anImage())
    lab.disconnect()
    remove()
    await expect(pass()).rejects.toMatchObject({ code: 'HypervisorUnreachable' })
    expect(image().metadata.finalizers).toEqual(['berth.dev/cleanup'])
  })

  it('does not wait for a pool whose object is gone', async () => {
    lab.kube.put(anImage())
    lab.kube.remove(storagePools, { name: 'default' })
    remove()
    await pass()
    expect(lab.kube.peek(clusterImages, { name: 'debian' })).toBeUndefined()
  })
})
