import { beforeEach, describe, expect, it } from '@jest/globals'
import type { VirtualMachine } from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import { aMachine, aNetwork, anImage, aSize, digest, Lab } from '../testing/lab.ts'
import { desiredOf } from './desired.ts'
import { demandOf, generatedMAC, resolve } from './resolve.ts'

const turn = { uid: 'web', priority: 0, since: '2026-01-01T00:00:00Z' }

const MiB = 2 ** 20
let lab: Lab

beforeEach(() => {
  lab = new Lab().furnish('s1')
})

const machine = (spec: object = {}, status?: object): ReadObject<VirtualMachine> =>
  lab.kube.put({ ...aMachine('web', spec), ...(status ? { status } : {}) } as VirtualMachine)
const resolved = (spec: object = {}, status?: object) => resolve(machine(spec, status), lab.caches)
const pinnedImage = () => {
  const uid = lab.caches.clusterImages.get('debian')?.metadata.uid
  return { kind: 'ClusterImage', name: 'debian', uid, digest, format: 'QCOW2' }
}

describe('size', () => {
  it('is pinned when it is first used: a later change never resizes a machine', () => {
    const size = { kind: 'VirtualMachineSize', name: 'small', generation: 1, cpus: 1, memory: '1Gi', storage: '8Gi' }
    lab.kube.put(aSize('small', { cpus: 8, memory: '64Gi' }))
    expect(resolved({}, { size }).size).toEqual({ value: { ...size, memory: 1024 * MiB, storage: 8192 * MiB } })
  })

  it('is waited for', () => {
    expect(resolved({ size: 'huge' }).problem).toMatchObject({
      code: 'DependencyNotFound',
      message: expect.stringMatching(/spec.size.*huge/),
    })
  })

  it('may be given in place', () => {
    const { size } = resolved({ size: undefined, resources: { cpus: 3, memory: '512Mi' } })
    expect(size).toEqual({ value: { cpus: 3, memory: 512 * MiB } })
  })
})

describe('image', () => {
  const ofTeam = (changes: object = {}) =>
    lab.kube.put({
      ...anImage('debian', changes),
      kind: 'Image',
      metadata: { namespace: 'team', name: 'debian' },
    } as never)

  it('of the namespace comes before one for all', () => {
    expect(resolved().image).toMatchObject({ value: { kind: 'ClusterImage' } })
    ofTeam()
    expect(resolved().image).toMatchObject({ value: { kind: 'Image' } })
    expect(resolved({ image: { kind: 'ClusterImage', name: 'debian' } }).image).toMatchObject({
      value: { kind: 'ClusterImage' },
    })
  })

  it.each([
    ['does not exist', 'none', {}, 'ImageNotFound'],
    ['is being fetched', 'new', { status: { state: 'Fetching', digest: undefined } }, 'WaitingForImage'],
    ['has failed', 'new', { status: { state: 'Failed', digest: undefined } }, 'ImageFailed'],
    ['was stored and has failed since', 'new', { status: { state: 'Failed' } }, 'ImageFailed'],
    ['is being deleted', 'new', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }, 'ImageNotFound'],
  ])('that %s is not used', (_, name, changes, code) => {
    lab.kube.put(anImage('new', changes))
    expect(resolved({ image: { name } }).problem?.code).toBe(code)
  })

  it('says in which mode it boots, for placement', () => {
    const modeOf = (spec: object) => {
      lab.kube.put(anImage('debian', { spec }))
      const vm = machine()
      return demandOf(vm, turn, resolve(vm, lab.caches))?.mode
    }
    expect(modeOf({ boot: { mode: 'PV' } })).toBe('PV')
    expect(modeOf({ boot: {} })).toBeUndefined()
    expect(modeOf({})).toBeUndefined()
  })

  it('that is fetched anew, or going, still serves the machines that are made from it', () => {
    const image = pinnedImage()
    lab.kube.put(
      anImage('debian', { status: { state: 'Failed' }, metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }),
    )
    expect(resolved({}, { image }).problem).toBeUndefined()
  })

  it('of the same name with other content is not the one that the machine was made from', () => {
    const image = { ...pinnedImage(), digest: 'b'.repeat(64) }
    expect(resolved({}, { image }).problem).toMatchObject({
      code: 'ImageNotFound',
      message: expect.stringMatching(/no longer/),
    })
  })
})

describe('what the image asks for', () => {
  it.each([
    ['a size', { size: 'small' }, /spec\.size: small has 1024Mi.*needs 4096Mi/],
    ['resources', { size: undefined, resources: { cpus: 1, memory: '1Gi' } }, /spec\.resources\.memory has 1024Mi/],
  ])('%s with too little memory is refused by the field’s name', (_, spec, message) => {
    lab.kube.put(anImage('debian', { spec: { minimum: { memory: '4Gi' } } }))
    const refused = resolved(spec)
    expect(refused.problem).toMatchObject({ code: 'InvalidConfiguration', message: expect.stringMatching(message) })
    expect(demandOf(machine(spec), turn, refused)).toBeUndefined()
  })

  it('is asked of new machines only', () => {
    const image = pinnedImage()
    lab.kube.put(anImage('debian', { spec: { minimum: { memory: '4Gi', storage: '100Gi' } } }))
    expect(resolved({}, { image }).problem).toBeUndefined()
  })

  it.each([
    ['the image', {}, undefined, 2048],
    ['the size, where it is larger', { storage: '8Gi' }, undefined, 8192],
    ['what the image asks for', { minimum: '4Gi' }, undefined, 4096],
    ['what is declared', { storage: '8Gi' }, '3Gi', 3072],
  ])('root disk as large as %s', (_, { storage, minimum }: { storage?: string; minimum?: string }, declared, MiBs) => {
    lab.kube.put(aSize('small', { cpus: 1, memory: '1Gi', ...(storage ? { storage } : {}) }))
    if (minimum) lab.kube.put(anImage('debian', { spec: { minimum: { storage: minimum } } }))
    const disks = declared ? { disks: [{ name: 'root', size: declared }] } : {}
    expect(resolved(disks).rootCapacity).toEqual({ value: MiBs * MiB })
  })

  it('root disk smaller than the image is refused by the field’s name', () => {
    const { problem } = resolved({ disks: [{ name: 'root', size: '1Gi' }] })
    expect(problem).toMatchObject({
      code: 'SmallerThanImage',
      message: expect.stringMatching(/spec\.disks\[root\]\.size: 1Gi/),
    })
  })
})

describe('interfaces', () => {
  it('absent: one, on the only Network there is', () => {
    const { interfaces } = resolved()
    const macAddress = generatedMAC(machine().metadata.uid, 'eth0')
    expect(interfaces).toEqual({ value: [{ name: 'eth0', network: 'lan', macAddress }] })
  })

  it('stay on the Network that was recorded when there is a second', () => {
    lab.kube.put(aNetwork('dmz'))
    expect(resolved().problem).toMatchObject({ code: 'NetworkNotFound', message: expect.stringMatching(/dmz, lan/) })
    const networkInterfaces = [{ name: 'eth0', network: 'lan', macAddress: '52:54:00:00:00:01' }]
    expect(resolved({}, { networkInterfaces }).interfaces).toMatchObject({ value: [{ network: 'lan' }] })
  })

  it('none, where none are wanted', () => {
    expect(resolved({ networkInterfaces: [] }).interfaces).toEqual({ value: [] })
  })

  it('tell the field of a Network that is not there', () => {
    const networkInterfaces = [
      { name: 'eth0', network: 'lan' },
      { name: 'eth1', network: 'none' },
    ]
    expect(resolved({ networkInterfaces }).problem?.message).toMatch(/spec\.networkInterfaces\[1\]\.network.*none/)
  })

  it('derive their MAC from identity and name: the same after a rebuild, and no two alike', () => {
    const one = generatedMAC('u-1', 'eth0')
    expect(one).toMatch(/^52:54:00(:[0-9a-f]{2}){3}$/)
    expect(generatedMAC('u-1', 'eth0')).toBe(one)
    expect(new Set([one, generatedMAC('u-1', 'eth1'), generatedMAC('u-2', 'eth0')]).size).toBe(3)
    const given = resolved({ networkInterfaces: [{ name: 'eth0', macAddress: '02:AA:BB:CC:DD:EE' }] }).interfaces
    expect(given).toMatchObject({ value: [{ macAddress: '02:aa:bb:cc:dd:ee' }] })
  })
})

describe('what the API says, as facts', () => {
  const slot = (name: string, status: object) => ({ metadata: { name }, spec: { hypervisor: 'kvm1' }, status }) as never

  it('counts a claim only where it names this very object', () => {
    const vm = machine()
    const { uid } = vm.metadata
    const claims = desiredOf(vm, [
      slot('s2', { phase: 'Releasing', consumerRef: { uid } }),
      slot('s1', { phase: 'Bound', consumerRef: { uid } }),
      slot('s3', { phase: 'Bound', consumerRef: { uid: 'another of this name' } }),
      slot('s4', { phase: 'Free' }),
    ]).claims
    expect(claims.map(({ slot: name, phase }) => `${name} ${phase}`)).toEqual(['s1 Bound', 's2 Releasing'])
  })

  const latched = { by: 'Guest', time: '', generation: 1, restartToken: '' }
  it.each<[string, object, object, unknown]>([
    ['holds while Running is declared', {}, {}, 'Guest'],
    ['does not hold once another state is declared', { powerState: 'Stopped' }, {}, undefined],
    ['does not hold once a restart is asked for', { restart: { token: 'b' } }, {}, undefined],
    ['holds where that restart was served before', { restart: { token: 'b' } }, { restart: { token: 'b' } }, 'Guest'],
    ['holds where a served restart was taken out', {}, { restart: { token: 'b' } }, 'Guest'],
    ['holds for a crash too', {}, { lastStop: { ...latched, by: 'Crash' } }, 'Crash'],
    ['is none where it was started again', {}, { lastStop: { by: 'Guest', time: '', generation: 1 } }, undefined],
  ])('the guest’s own stop %s', (_, spec, status, halted) => {
    expect(desiredOf(machine(spec, { lastStop: latched, ...status }), []).halted).toBe(halted)
  })

  it('a restart is new until its token is the one served last, whatever its mode', () => {
    const restart = { token: 'a', mode: 'Cold' }
    expect(desiredOf(machine({ restart }), []).restart).toEqual(restart)
    expect(desiredOf(machine({ restart: { token: 'a' } }), []).restart).toEqual({ token: 'a', mode: 'Warm' })
    expect(desiredOf(machine({ restart }, { restart: { token: 'a', time: '' } }), [])).not.toHaveProperty('restart')
  })

  it.each([
    ['Creating', false],
    ['Ready', true],
    ['Missing', true],
  ])('a disk that is %s was made: %s', (state, diskMade) => {
    expect(desiredOf(machine({}, { disks: [{ name: 'root', state }] }), []).diskMade).toBe(diskMade)
  })
})
