import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { volumeNames } from '../port.ts'
import type { Bench } from './bench.ts'
import { ignoreProgress, imageContent, MiB, randomContent } from './content.ts'
import { expectRefusal } from './expectations.ts'

export function describeStorage(bench: Bench): void {
  bench.group('volumes and pools', () => {
    bench.test('deleteVolume takes only what is named after the instance', ['Uploads'], async () => {
      const image = imageContent(randomContent())
      await bench.session.placeImage(bench.world.pool, image, ignoreProgress)
      const instanceID = randomUUID()
      const other = randomUUID()
      const disk = { pool: bench.world.pool, image, capacity: 8 * MiB }
      const volume = volumeNames.disk(other, 'root')
      await bench.session.createDisk({ ...disk, instanceID: other, volume })
      for (const name of [
        volume,
        volumeNames.image(image.digest),
        `berth-${instanceID}-`,
        `berth-${instanceID}-/x`,
        '',
      ]) {
        await expectRefusal(bench.session.deleteVolume(instanceID, disk.pool, name), 'ForeignObject')
      }
      await expectRefusal(bench.session.createDisk({ ...disk, instanceID, volume }), 'ForeignObject')
      expect((await bench.session.observe(other)).volumes).toHaveLength(1)
      await bench.session.deleteVolume(other, disk.pool, volume)
      await bench.session.deleteVolume(other, disk.pool, volume)
      expect((await bench.session.observe(other)).volumes).toEqual([])
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    bench.test(
      'equal seeds are equal to the byte; a new one replaces the old one while the machine is off',
      ['Uploads'],
      async () => {
        const spec = bench.spec()
        const { pool, volume } = spec.seed
        await bench.withMachine(spec, async () => {
          const first = await bench.world.readVolume(pool, volume)
          expect(first.includes('#cloud-config\n{}\n')).toBe(true)
          await bench.session.define(spec)
          expect((await bench.world.readVolume(pool, volume)).equals(first)).toBe(true)
          // Of the same length, and longer: written over, and made anew.
          for (const text of ['#cloud-config\n[]\n', `#cloud-config\n# ${'long '.repeat(1000)}\n`]) {
            const files = { ...spec.seed.files, 'user-data': text }
            await bench.session.define({ ...spec, seed: { ...spec.seed, files } })
            expect((await bench.world.readVolume(pool, volume)).includes(text)).toBe(true)
          }
        })
      },
    )

    bench.test("a running machine's seed stays, and one without files stays too", ['Uploads'], async () => {
      const spec = bench.spec()
      const { pool, volume } = spec.seed
      await bench.withMachine(spec, async (id) => {
        const seed = await bench.world.readVolume(pool, volume)
        await bench.session.start(id)
        await bench.session.define({ ...spec, seed: { pool, volume, files: { 'user-data': 'other' } } })
        expect((await bench.world.readVolume(pool, volume)).equals(seed)).toBe(true)
        await bench.session.powerOff(id)
        await bench.session.define({ ...spec, seed: { pool, volume } })
        expect((await bench.world.readVolume(pool, volume)).equals(seed)).toBe(true)
      })
    })

    bench.test('a seed is never written to a volume that is not named after the instance', [], async () => {
      const spec = bench.spec()
      const volume = volumeNames.seed(randomUUID())
      await expectRefusal(bench.session.define({ ...spec, seed: { ...spec.seed, volume } }), 'ForeignObject')
    })

    bench.test('a pool is told with its sizes; what is not there is not told', [], async () => {
      const pool = await bench.session.pool({ name: bench.world.pool })
      expect(pool).toMatchObject({ name: bench.world.pool, type: bench.world.poolType, active: true })
      expect(pool?.capacity).toBeGreaterThan(0)
      expect(pool?.free).toBeGreaterThan(0)
      expect(await bench.session.pool({ name: 'contract-no-such-pool' })).toBeUndefined()
    })

    bench.test('a pool is made where none is, and the same again changes nothing', ['DirectoryPools'], async () => {
      const query = { name: `contract-${randomUUID().slice(0, 8)}`, path: bench.world.newDirectory }
      await bench.session.definePool(query)
      const made = await bench.session.pool(query)
      expect(made).toMatchObject({ name: query.name, type: 'Directory', active: true, volumes: 0 })
      await bench.session.definePool(query)
      await bench.session.definePool({ ...query, path: `${query.path}-other` })
      expect((await bench.session.pool(query))?.id).toBe(made?.id)
    })

    bench.test('a pool that was made takes images', ['DirectoryPools', 'Uploads'], async () => {
      const query = { name: `contract-${randomUUID().slice(0, 8)}`, path: `${bench.world.newDirectory}-for-images` }
      await bench.session.definePool(query)
      const image = imageContent(randomContent(4096))
      await bench.session.placeImage(query.name, image, ignoreProgress)
      expect((await bench.session.placedImage(query.name, image.digest)).state).toBe('Complete')
    })

    bench.test('networks that are there exist, others do not', [], async () => {
      expect(await bench.session.networkExists(bench.world.attachment)).toBe(true)
      expect(await bench.session.networkExists(bench.world.missingAttachment)).toBe(false)
    })
  })
}
