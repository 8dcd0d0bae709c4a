import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import type { InterfaceSpec, MachineSpec } from '../port.ts'
import { type Bench, macAddressOf } from './bench.ts'
import { expectRefusal } from './expectations.ts'

/** Interfaces of a machine that exists. Guests of the contract have no system that would let go of one. */
export function describeInterfaceChanges(bench: Bench): void {
  const side = (changes: Partial<InterfaceSpec> = {}): InterfaceSpec => ({
    name: 'side',
    macAddress: macAddressOf(randomUUID()),
    attachment: bench.world.attachment,
    ...changes,
  })
  const interfacesOf = async (id: string) => (await bench.machine(id)).interfaces
  const onlyInterface = ({ interfaces: [first] }: MachineSpec): InterfaceSpec => {
    if (first === undefined) throw new Error('the machine has an interface')
    return first
  }
  const withRunning = (use: (id: string, spec: MachineSpec) => Promise<void>) => {
    const spec = bench.spec()
    return bench.withMachine(spec, async (id) => {
      await bench.session.start(id)
      await use(id, spec)
    })
  }

  bench.group('interfaces', () => {
    bench.test('observe tells those of a machine, off and running, and what each is connected to', [], async () => {
      const spec = bench.spec()
      await bench.withMachine(spec, async (id) => {
        expect(await interfacesOf(id)).toEqual([{ ...onlyInterface(spec), attached: false, defined: true }])
        await bench.session.start(id)
        expect(await interfacesOf(id)).toEqual([{ ...onlyInterface(spec), attached: true, defined: true }])
      })
    })

    bench.test(
      'attach gives a running machine one, now and from its next start on; twice is once',
      ['HotPlugNetwork'],
      async () => {
        await withRunning(async (id, spec) => {
          const added = side()
          for (let time = 0; time < 2; time++) await bench.session.attachInterface(id, added)
          const both = [onlyInterface(spec), added]
          expect(await interfacesOf(id)).toEqual(both.map((one) => ({ ...one, attached: true, defined: true })))
          await bench.session.powerOff(id)
          await bench.session.start(id)
          expect(await interfacesOf(id)).toEqual(both.map((one) => ({ ...one, attached: true, defined: true })))
        })
      },
    )

    bench.test(
      'attach of one that it has connects it elsewhere in place, and names it anew; its MAC address stays',
      ['HotPlugNetwork'],
      async () => {
        await withRunning(async (id, spec) => {
          const moved = { ...onlyInterface(spec), name: 'moved', attachment: bench.world.otherAttachment }
          for (let time = 0; time < 2; time++) await bench.session.attachInterface(id, moved)
          expect(await interfacesOf(id)).toEqual([{ ...moved, attached: true, defined: true }])
          expect((await bench.machine(id)).power).toBe('Running')
        })
      },
    )

    bench.test('a network that is not there is told, and nothing is attached', ['HotPlugNetwork'], async () => {
      await withRunning(async (id, spec) => {
        const lost = side({ attachment: bench.world.missingAttachment })
        await expectRefusal(bench.session.attachInterface(id, lost), 'NetworkNotFound')
        const attached = (await interfacesOf(id)).filter((one) => one.attached)
        expect(attached.map(({ name }) => name)).toEqual([onlyInterface(spec).name])
      })
    })

    bench.test('what is off or absent is given none', ['HotPlugNetwork'], async () => {
      await bench.withMachine(bench.spec(), async (id) => {
        for (const instanceID of [id, randomUUID()]) {
          await expectRefusal(bench.session.attachInterface(instanceID, side()), 'HypervisorRefused')
        }
        expect(await interfacesOf(id)).toHaveLength(1)
      })
    })

    bench.test(
      'detach takes one out of the next start, and the guest may let go of it late; twice is once',
      ['HotPlugNetwork'],
      async () => {
        await withRunning(async (id, spec) => {
          const added = side()
          await bench.session.attachInterface(id, added)
          for (let time = 0; time < 2; time++) await bench.session.detachInterface(id, added.macAddress)
          const left = (await interfacesOf(id)).filter(({ name }) => name === 'side')
          for (const one of left) expect(one).toEqual({ ...added, attached: true, defined: false })
          await bench.session.powerOff(id)
          await bench.session.start(id)
          expect(await interfacesOf(id)).toEqual([{ ...onlyInterface(spec), attached: true, defined: true }])
        })
      },
    )

    bench.test(
      'detach of what is off takes effect at once; of what is absent it is nothing',
      ['HotPlugNetwork'],
      async () => {
        const spec = bench.spec()
        await bench.withMachine(spec, async (id) => {
          await bench.session.detachInterface(id, onlyInterface(spec).macAddress)
          await bench.session.detachInterface(randomUUID(), onlyInterface(spec).macAddress)
          expect(await interfacesOf(id)).toEqual([])
        })
      },
    )

    bench.test(
      'one that somebody else attached is seen without a name, never touched, and stays when it is defined anew',
      ['HotPlugNetwork', 'Definitions'],
      async () => {
        await withRunning(async (id, spec) => {
          const foreign = side()
          await bench.world.attachForeignInterface(id, foreign.macAddress)
          const seen = async () => (await interfacesOf(id)).filter(({ name }) => name === undefined)
          const [before] = await seen()
          expect(before).toMatchObject({ macAddress: foreign.macAddress, attached: true, defined: true })
          await expectRefusal(bench.session.attachInterface(id, foreign), 'ForeignObject')
          await expectRefusal(bench.session.detachInterface(id, foreign.macAddress), 'ForeignObject')
          await bench.session.define(spec)
          expect(await seen()).toEqual([before])
        })
      },
    )

    bench.test(
      'filtered or not: as it is defined, and changed in place',
      ['HotPlugNetwork', 'AntiSpoofing'],
      async () => {
        const plain = bench.spec()
        const filtered = { ...onlyInterface(plain), antiSpoofing: 'MAC' as const }
        await bench.withMachine({ ...plain, interfaces: [filtered] }, async (id) => {
          await bench.session.start(id)
          expect(await interfacesOf(id)).toEqual([{ ...filtered, attached: true, defined: true }])
          await bench.session.attachInterface(id, onlyInterface(plain))
          expect(await interfacesOf(id)).toEqual([{ ...onlyInterface(plain), attached: true, defined: true }])
          await bench.session.attachInterface(id, filtered)
          expect(await interfacesOf(id)).toEqual([{ ...filtered, attached: true, defined: true }])
        })
      },
    )
  })
}
