import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { volumeNames } from '../port.ts'
import type { Bench } from './bench.ts'
import { expectRefusal } from './expectations.ts'

/** Hosts are not ours alone. */
export function describeForeign(bench: Bench): void {
  const withForeign = async (hostName: string, use: (id: string) => Promise<void>) => {
    const id = await bench.world.makeForeign(hostName, randomUUID())
    try {
      await use(id)
    } finally {
      await bench.world.removeForeign(id)
    }
  }

  bench.group("machines that are not Berth's", () => {
    bench.test('with our id: seen as foreign, and every effect is refused', ['ChosenIDs', 'Definitions'], async () => {
      await withForeign('contract_foreign-id', async (id) => {
        const before = await bench.world.describeMachine(id)
        const observation = await bench.session.observe(id)
        expect(observation.machine).toBeUndefined()
        expect(observation.foreign).toContain('contract_foreign-id')
        const spec = bench.spec({ tag: { instanceID: id } })
        for (const effect of [
          bench.session.define(spec),
          bench.session.start(id),
          bench.session.pause(id),
          bench.session.unpause(id),
          bench.session.suspend(id),
          bench.session.discardMemory(id),
          bench.session.park(id),
          bench.session.attachInterface(id, {
            name: 'x',
            macAddress: '52:54:00:00:00:01',
            attachment: bench.world.attachment,
          }),
          bench.session.detachInterface(id, '52:54:00:00:00:01'),
          bench.session.shutdown(id),
          bench.session.powerOff(id),
          bench.session.undefine(id),
          bench.session.attachDisk(id, { name: 'data', pool: bench.world.pool, volume: volumeNames.disk(id, 'data') }),
          bench.session.detachDisk(id, 'root'),
          bench.session.growDisk(id, bench.world.pool, volumeNames.disk(id, 'root'), 1),
          bench.session.release(id),
          bench.session.deleteVolume(id, bench.world.pool, volumeNames.disk(id, 'root')),
        ]) {
          await expectRefusal(effect, 'ForeignObject')
        }
        expect(await bench.world.describeMachine(id)).toBe(before)
        expect((await bench.session.observe(id)).volumes).toEqual([])
      })
    })

    bench.test(
      'with our name: it keeps it, ours gets another, and removing ours leaves it alone',
      ['UniqueNames', 'Definitions'],
      async () => {
        const spec = bench.spec()
        await withForeign(spec.hostName, async (foreignID) => {
          const before = await bench.world.describeMachine(foreignID)
          await bench.withMachine(spec, async (id) => {
            expect((await bench.machine(id)).hostName).not.toBe(spec.hostName)
            await bench.session.start(id)
            await bench.session.powerOff(id)
            await bench.session.undefine(id)
          })
          expect(await bench.world.describeMachine(foreignID)).toBe(before)
        })
      },
    )

    bench.test('the inventory lists it without a tag', [], async () => {
      await withForeign('contract_foreign-list', async (id) => {
        const entry = (await bench.session.list()).find((one) => one.id === id)
        expect(entry).toEqual({
          id,
          hostName: 'contract_foreign-list',
          power: 'Stopped',
          parked: false,
          memory: expect.any(Number),
        })
        expect(entry?.memory).toBeGreaterThan(2 ** 20)
      })
    })
  })
}
