/** Whatever disks a machine has, and is to have: it comes to rest as declared, and loses nothing that was to stay. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { type Disk, parseBytes, virtualMachines } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { volumeNames } from '../../hypervisor/port.ts'
import { aMachine, Lab } from '../testing/lab.ts'
import { VirtualMachineReconciler } from './reconciler.ts'

const key = 'team/web'
const source = { image: { name: 'debian' } }
const variants: readonly (readonly Disk[])[] = [
  [],
  [{ name: 'data', size: '4Gi' }],
  [{ name: 'data', size: '8Gi' }],
  [{ name: 'data', size: '4Gi', deletionPolicy: 'Retain' }],
  [{ name: 'data', source }],
  [{ name: 'data', size: '4Gi', storagePool: 'default' }],
]
const more: readonly (readonly Disk[])[] = [[], [{ name: 'logs', size: '4Gi' }]]
/** The root is listed or not; it is there all the same. */
const lists = variants.flatMap((one) => more.map((other) => [...one, ...other]))
const powers = ['Running', 'Stopped', 'Paused', 'Suspended'] as const

class Course {
  readonly lab = new Lab().furnish('s1')
  readonly #reconciler = new VirtualMachineReconciler(this.lab.dependencies)
  readonly violations: string[] = []
  /** One of so many effects is answered by a failure: before, or after it. */
  troubles: readonly ('None' | 'Refused' | 'Lost')[] = []

  constructor() {
    this.lab.host.before = (method, args) => {
      if (method === 'deleteVolume') this.#checkDeletion(String(args[2]))
      if (this.#isEffect(method) && this.#next() === 'Refused') throw new BerthError('HypervisorRefused', 'no')
    }
    this.lab.host.after = (method) => {
      if (this.#isEffect(method) && this.#next() === 'Lost') throw new BerthError('CallTimedOut', 'no answer')
    }
  }

  readonly #isEffect = (method: string) => method.endsWith('Disk') || method === 'deleteVolume'

  #next() {
    const [first = 'None', ...rest] = this.troubles
    this.troubles = rest
    return first
  }

  /** Nothing that is declared as it is, kept, or in use is deleted. */
  #checkDeletion(volume: string): void {
    const { metadata, spec, status } = this.lab.machine()
    const entry = status?.disks?.find((disk) => disk.volume === volume)
    const machine = this.lab.host.machines.get(metadata.uid)
    const refuse = (why: string) => this.violations.push(`${volume} is deleted: ${why}`)
    if (entry?.state !== 'Removing') refuse('it was not recorded to go')
    if (entry?.deletionPolicy === 'Retain') refuse('it is to be kept')
    if (machine?.power === 'Suspended') refuse('a saved memory may know it')
    const live = machine?.live ?? machine?.spec.disks ?? []
    if ([...live, ...(machine?.spec.disks ?? [])].some((disk) => disk.volume === volume)) refuse('the machine has it')
    const declared = spec.disks?.find(({ name }) => name === entry?.name)
    if (declared && (declared.source?.image.name ?? '') === (entry?.image?.name ?? '')) refuse('it is declared')
  }

  async to(disks: readonly Disk[], powerState: (typeof powers)[number] = 'Running'): Promise<void> {
    if (!this.lab.kube.peek(virtualMachines, { namespace: 'team', name: 'web' }))
      this.lab.kube.put(aMachine('web', { disks, powerState }))
    this.lab.kube.change(virtualMachines, { namespace: 'team', name: 'web' }, (vm) =>
      Object.assign(vm.spec, { disks, powerState }),
    )
    await this.rest()
  }

  /** Passes until none does anything for a while. */
  async rest(): Promise<void> {
    let quiet = 0
    for (let passes = 0; quiet < 3; passes++) {
      if (passes > 150) throw new Error(`no rest: ${JSON.stringify(this.lab.kube.writes.slice(-4))}`)
      const before = this.#done()
      const result = await this.lab.pass(this.#reconciler, key).catch(() => ({ requeueAfter: 1_000 }))
      quiet = this.#done() === before ? quiet + 1 : 0
      // Longer than anything is held back, or on its way.
      await this.lab.clock.advance(quiet > 0 ? 70_000 : Math.min(result.requeueAfter ?? 0, 70_000))
    }
  }

  /** A guest that holds on to a disk is asked for ever. */
  readonly #done = () =>
    this.lab.host.calls.filter(({ method }) => method !== 'detachDisk').length + this.lab.kube.writes.length

  get machine() {
    return this.lab.host.machines.get(this.lab.machine().metadata.uid)
  }

  /** What is not as declared, of a machine that runs and whose guest and host do as they are asked. */
  unreached(disks: readonly Disk[]): string[] {
    const { metadata, status } = this.lab.machine()
    const volumes = this.lab.host.pools.get('default')?.volumes
    const names = ['root', ...disks.map(({ name }) => name)].toSorted()
    const has = (what: string, list: readonly string[] = []) =>
      JSON.stringify(list.toSorted()) === JSON.stringify(names) ? [] : [`${what}: ${list}, not ${names}`]
    const small = disks.flatMap(({ name, size = '0' }) => {
      const is = volumes?.get(volumeNames.disk(metadata.uid, name)) ?? 0
      return is < parseBytes(size) ? [`${name} has ${is} bytes`] : []
    })
    const pending = (status?.pendingChanges ?? []).map(({ field }) => `pending: ${field}`)
    return [
      ...has('live', this.machine?.live?.map(({ name }) => name) ?? this.machine?.spec.disks.map(({ name }) => name)),
      ...has(
        'defined',
        this.machine?.spec.disks.map(({ name }) => name),
      ),
      ...has(
        'recorded',
        status?.disks?.map(({ name }) => name),
      ),
      ...small,
      ...pending,
      ...this.violations,
    ]
  }
}

describe('from one list to another', () => {
  const pairs = lists.flatMap((from) => lists.map((to) => ({ from, to })))

  it(`comes to rest as declared, and stays there: each of ${pairs.length} pairs`, async () => {
    for (const { from, to } of pairs) {
      const course = new Course()
      await course.to(from)
      expect(course.unreached(from)).toEqual([])
      const { host } = course.lab
      const calls = host.calls.length
      await course.to(from)
      expect(host.calls.slice(calls)).toEqual([])
      await course.to(to)
      // A disk that is larger by now than it is declared stays so.
      expect({ from, to, unreached: course.unreached(to) }).toEqual({ from, to, unreached: [] })
      expect(host.calls.length - calls).toBeLessThanOrEqual(8)
    }
  }, 60_000)

  it('loses nothing that is kept, declared or in use, whatever fails, whatever the guest and the host can', async () => {
    const step = fc.record({ disks: fc.constantFrom(...lists), power: fc.constantFrom(...powers) })
    const trouble = fc.constantFrom('None' as const, 'None' as const, 'Refused' as const, 'Lost' as const)
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 2, maxLength: 5 }),
        fc.array(trouble, { maxLength: 12 }),
        fc.boolean(),
        fc.subarray(['HotPlugDisk', 'GrowDisk']),
        async (steps, troubles, letsGo, features) => {
          const course = new Course()
          const { host } = course.lab
          const { information } = host
          host.letsGo = letsGo
          host.information = {
            ...information,
            capabilities: { ...information.capabilities, features: ['Pause', 'Suspend', ...features] },
          }
          course.troubles = troubles
          await course.to([])
          for (const { disks, power } of steps) await course.to(disks, power)
          expect(course.violations).toEqual([])
          // A start under way of all that: off, and on again.
          course.troubles = []
          host.letsGo = true
          const last = steps.at(-1)?.disks ?? []
          await course.to(last, 'Stopped')
          await course.to(last, 'Running')
          expect(course.unreached(last)).toEqual([])
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)
})
