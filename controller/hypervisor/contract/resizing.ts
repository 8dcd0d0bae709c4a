import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import type { MachineSpec } from '../port.ts'
import type { Bench } from './bench.ts'
import { MiB } from './content.ts'
import { expectRefusal } from './expectations.ts'

/** More CPUs, and more or less memory, for a machine that runs. */
export function describeResizing(bench: Bench): void {
  bench.group('resizing', () => {
    /** With room to grow: one CPU of three, and 16 MiB less than it can have. */
    const growing = (): MachineSpec => {
      const { memory } = bench.world.machine
      return bench.spec({ cpus: 1, maxCpus: 3, memory: memory - 16 * MiB, maxMemory: memory })
    }
    const most = ({ memory }: MachineSpec) => ({ maxCpus: 3, maxMemory: memory + 16 * MiB })

    bench.test('what is defined with room to grow tells how far', ['HotPlugCPU', 'HotPlugMemory'], async () => {
      const spec = growing()
      await bench.withMachine(spec, async (id) => {
        const { cpus, memory } = spec
        expect(await bench.machine(id)).toMatchObject({ cpus, memory, ...most(spec) })
        await bench.session.start(id)
        expect(await bench.machine(id)).toMatchObject({ cpus, memory, ...most(spec) })
        // What it may have, whatever it has now.
        const entry = (await bench.session.list()).find(({ tag }) => tag?.instanceID === id)
        expect(entry?.memory).toBe(memory + 16 * MiB)
      })
    })

    bench.test('a running machine gets CPUs at once, and keeps them', ['HotPlugCPU'], async () => {
      const spec = growing()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        for (let time = 0; time < 2; time++) {
          await bench.session.resize(id, { cpus: 3 })
          const { cpus, memory } = await bench.machine(id)
          expect([cpus, memory]).toEqual([3, spec.memory])
        }
        await bench.session.powerOff(id)
        await bench.session.start(id)
        expect(await bench.machine(id)).toMatchObject({ cpus: 3, ...most(spec) })
      })
    })

    bench.test('a running machine gets memory at once, and gives it back', ['HotPlugMemory'], async () => {
      const spec = growing()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        for (const memory of [spec.memory + 16 * MiB, spec.memory - 8 * MiB]) {
          await bench.session.resize(id, { memory })
          expect(await bench.machine(id)).toMatchObject({ cpus: 1, memory, ...most(spec) })
        }
        await bench.session.powerOff(id)
        expect(await bench.machine(id)).toMatchObject({ memory: spec.memory - 8 * MiB, ...most(spec) })
      })
    })

    bench.test('defined anew while it runs, it is told its memory', ['HotPlugMemory', 'Definitions'], async () => {
      const spec = growing()
      await bench.withMachine(spec, async (id) => {
        await bench.session.start(id)
        const memory = spec.memory + 8 * MiB
        await bench.session.define({ ...spec, memory })
        expect((await bench.machine(id)).memory).toBe(memory)
      })
    })

    bench.test('refused: beyond its room, fewer CPUs, and what is off', ['HotPlugCPU', 'HotPlugMemory'], async () => {
      const spec = growing()
      const more = spec.memory + 64 * MiB
      await bench.withMachine(spec, async (id) => {
        for (const instanceID of [id, randomUUID()])
          await expectRefusal(bench.session.resize(instanceID, { cpus: 2 }), 'HypervisorRefused')
        await bench.session.start(id)
        await bench.session.resize(id, { cpus: 2 })
        for (const size of [{ cpus: 1 }, { cpus: 4 }, { memory: more }])
          await expectRefusal(bench.session.resize(id, size), 'HypervisorRefused')
        expect(await bench.machine(id)).toMatchObject({ cpus: 2, memory: spec.memory, power: 'Running' })
      })
    })

    bench.test('without room it has as much as it can have', ['Definitions'], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        const { cpus, memory, maxCpus = cpus, maxMemory = memory } = await bench.machine(id)
        expect([cpus, memory, maxCpus, maxMemory]).toEqual([1, spec.memory, 1, spec.memory])
      })
    })
  })
}
