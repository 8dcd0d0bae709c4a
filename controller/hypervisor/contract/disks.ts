import { randomUUID } from 'node:crypto'
import { expect } from '@jest/globals'
import { type ImageContent, type ImageFormat, type NewDisk, volumeNames } from '../port.ts'
import type { Bench } from './bench.ts'
import { ignoreProgress, imageContent, MiB, randomContent } from './content.ts'
import { expectRefusal } from './expectations.ts'

export function describeDisks(bench: Bench): void {
  const place = (image: ImageContent) => bench.session.placeImage(bench.world.pool, image, ignoreProgress)
  const state = async (digest: string) => (await bench.session.placedImage(bench.world.pool, digest)).state
  const contentOf = (format: ImageFormat) =>
    format === 'raw' ? imageContent(randomContent()) : imageContent(bench.world.qcow2.content, { format })

  bench.group('disks over placed images', () => {
    const rootDisk = ({ digest, format }: ImageContent, capacity = 8 * MiB): NewDisk => {
      const instanceID = randomUUID()
      const volume = volumeNames.disk(instanceID, 'root')
      return { instanceID, pool: bench.world.pool, volume, image: { digest, format }, capacity }
    }
    const withDisk = ({ instanceID, pool, volume }: NewDisk) =>
      bench.spec({ tag: { instanceID }, disks: [{ name: 'root', pool, volume }] })

    for (const format of ['raw', 'qcow2'] as const) {
      const needs = format === 'raw' ? (['Uploads'] as const) : (['Uploads', 'QCOW2'] as const)
      bench.test(`a disk over a ${format} image starts with a machine, and is kept while it runs`, needs, async () => {
        const image = contentOf(format)
        await place(image)
        const capacity = format === 'raw' ? 8 * MiB : bench.world.qcow2.virtualSize
        const disk = rootDisk(image, capacity)
        await bench.session.createDisk(disk)
        const { volumes } = await bench.session.observe(disk.instanceID)
        expect(volumes).toMatchObject([{ pool: disk.pool, name: disk.volume, capacity }])
        await bench.withMachine(withDisk(disk), async (id) => {
          await bench.session.start(id)
          expect((await bench.machine(id)).power).toBe('Running')
          await expectRefusal(bench.session.deleteVolume(id, disk.pool, disk.volume), 'InUse')
        })
        expect((await bench.session.observe(disk.instanceID)).volumes).toEqual([])
        await bench.session.removeImage(bench.world.pool, image.digest)
      })
    }

    bench.test('an image is kept while disks are copy-on-write copies of it', ['Uploads', 'LinkedClone'], async () => {
      const image = contentOf('raw')
      await place(image)
      const disk = rootDisk(image)
      await bench.session.createDisk(disk)
      await expectRefusal(bench.session.removeImage(disk.pool, image.digest), 'InUse')
      expect(await state(image.digest)).toBe('Complete')
      await bench.session.deleteVolume(disk.instanceID, disk.pool, disk.volume)
      await bench.session.removeImage(disk.pool, image.digest)
      expect(await state(image.digest)).toBe('Absent')
    })

    for (const power of ['off', 'running'] as const) {
      const name = `a disk that a snapshot moved to another file while the machine was ${power} is never moved back`
      bench.test(name, ['Uploads', 'QCOW2', 'ExternalSnapshots'], async () => {
        const { pool, qcow2 } = bench.world
        const image = contentOf('qcow2')
        await place(image)
        const disk = rootDisk(image, qcow2.virtualSize)
        await bench.session.createDisk(disk)
        const spec = withDisk(disk)
        const sources = async () => bench.world.diskSources(await bench.world.describeMachine(disk.instanceID))
        await bench.withMachine(spec, async (id) => {
          if (power === 'running') await bench.session.start(id)
          await bench.world.snapshotDisks(id)
          const moved = await bench.world.describeMachine(id)
          const movedSources = await sources()
          expect(movedSources).toContainEqual(expect.stringContaining(`${disk.volume}.`))
          await expectRefusal(bench.session.define(spec), 'Drifted')
          await expectRefusal(bench.session.define({ ...spec, cpus: 2 }), 'Drifted')
          expect(await bench.world.describeMachine(id)).toBe(moved)
          await bench.session.park(id)
          expect(await sources()).toEqual(movedSources)
          await expectRefusal(bench.session.define(spec), 'Drifted')
        })
        await bench.session.removeImage(pool, image.digest)
      })
    }

    bench.test('no disk is made while its image is absent or half there', ['Uploads'], async () => {
      const image = imageContent(randomContent())
      const disk = rootDisk(image)
      await expectRefusal(bench.session.createDisk(disk), 'WaitingForImage')
      await place(image)
      await bench.world.damageMarker(bench.world.pool, image.digest, 'Emptied')
      await expectRefusal(bench.session.createDisk(disk), 'WaitingForImage')
      expect((await bench.session.observe(disk.instanceID)).volumes).toEqual([])
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    bench.test('an existing disk is left as it is', ['Uploads'], async () => {
      const image = imageContent(randomContent())
      await place(image)
      const disk = rootDisk(image)
      await bench.session.createDisk(disk)
      const made = await bench.world.readVolume(disk.pool, disk.volume)
      await bench.session.createDisk({ ...disk, capacity: 16 * MiB })
      expect((await bench.world.readVolume(disk.pool, disk.volume)).equals(made)).toBe(true)
      await bench.session.deleteVolume(disk.instanceID, disk.pool, disk.volume)
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    for (const format of ['raw', 'qcow2'] as const) {
      const needs = format === 'raw' ? (['Uploads'] as const) : (['Uploads', 'QCOW2'] as const)
      bench.test(`a disk smaller than its ${format} image is refused`, needs, async () => {
        const image = contentOf(format)
        await place(image)
        const size = format === 'raw' ? image.length : bench.world.qcow2.virtualSize
        await expectRefusal(bench.session.createDisk(rootDisk(image, size - 512)), 'SmallerThanImage')
        await bench.session.removeImage(bench.world.pool, image.digest)
      })
    }

    bench.test('define refuses a machine whose disk is gone', ['Definitions'], async () => {
      const instanceID = randomUUID()
      const volume = volumeNames.disk(instanceID, 'root')
      const spec = bench.spec({ tag: { instanceID }, disks: [{ name: 'root', pool: bench.world.pool, volume }] })
      await expectRefusal(bench.session.define(spec), 'DiskMissing')
      expect((await bench.session.observe(instanceID)).machine).toBeUndefined()
    })
  })
}
