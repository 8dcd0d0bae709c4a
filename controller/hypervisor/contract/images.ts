import { randomUUID } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { BerthError } from '../../errors/index.ts'
import { type ImageContent, volumeNames } from '../port.ts'
import { type Bench, expectRefusal, ignoreProgress, imageContent, MiB, randomContent } from './world.ts'

/** A volume that exists proves nothing: an image counts when its marker, written last, is read back. */
export function describeImages(bench: Bench): void {
  const place = (image: ImageContent, progress: (sent: number) => void = ignoreProgress) =>
    bench.session.placeImage(bench.world.pool, image, progress)
  const state = async (digest: string) => (await bench.session.placedImage(bench.world.pool, digest)).state

  describe('placed images', () => {
    test('placed to the byte, with progress, and again without reading the content anew', async () => {
      const content = randomContent(3 * MiB + 17)
      const image = imageContent(content)
      expect(await bench.session.placedImage(bench.world.pool, image.digest)).toEqual({ state: 'Absent' })
      const progress: number[] = []
      await place(image, (sent) => progress.push(sent))
      expect(await bench.session.placedImage(bench.world.pool, image.digest)).toEqual({
        state: 'Complete',
        length: content.length,
      })
      expect(progress.at(-1)).toBe(content.length)
      expect(progress).toEqual([...progress].sort((one, other) => one - other))
      const stored = await bench.world.readVolume(bench.world.pool, volumeNames.image(image.digest))
      expect(stored.equals(content)).toBe(true)
      await place({
        ...image,
        open() {
          throw new Error('read again, though it is complete')
        },
      })
      await bench.session.removeImage(bench.world.pool, image.digest)
      await bench.session.removeImage(bench.world.pool, image.digest)
      expect(await state(image.digest)).toBe('Absent')
    })

    test('broken off in the middle: Partial, and the next placing succeeds', async () => {
      const image = imageContent(randomContent())
      const broken = place({
        ...image,
        async *open() {
          for await (const part of image.open()) {
            yield part
            throw new BerthError('NotLeader', 'deposed')
          }
        },
      })
      await expectRefusal(broken, 'NotLeader')
      expect(await state(image.digest)).toBe('Partial')
      await place(image)
      expect(await state(image.digest)).toBe('Complete')
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    test('another writer’s unfinished image is not vouched for by one who ends before it', async () => {
      const content = randomContent()
      const image = imageContent(content)
      const begun = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      const later = await bench.world.driver.connect(bench.world.target)
      try {
        let second: Promise<void> | undefined
        const first = place({
          ...image,
          async *open() {
            yield* image.open()
            const slow: ImageContent = {
              ...image,
              async *open() {
                for await (const part of image.open()) {
                  yield part
                  begun.resolve()
                  await gate.promise
                }
              },
            }
            second = later.placeImage(bench.world.pool, slow, ignoreProgress)
            await Promise.race([begun.promise, second])
          },
        })
        await expectRefusal(first, 'TemporaryFailure')
        expect(await state(image.digest)).toBe('Partial')
        gate.resolve()
        await second
        expect(await state(image.digest)).toBe('Complete')
        const stored = await bench.world.readVolume(bench.world.pool, volumeNames.image(image.digest))
        expect(stored.equals(content)).toBe(true)
      } finally {
        gate.resolve()
        await later.close()
        await bench.session.removeImage(bench.world.pool, image.digest)
      }
    })

    test.each([1, 2])('no marker when the caller objects right before it, at step %d', async (step) => {
      const image = imageContent(randomContent())
      let steps = 0
      const beforeMarker = () => {
        if (++steps === step) throw new BerthError('NotLeader', 'deposed')
      }
      await expectRefusal(place({ ...image, beforeMarker }), 'NotLeader')
      expect(await state(image.digest)).toBe('Partial')
      await place(image)
      expect(await state(image.digest)).toBe('Complete')
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    test('ended by its signal in the middle: never Complete, and the next placing succeeds', async () => {
      const image = imageContent(randomContent())
      const controller = new AbortController()
      const ended = bench.session.placeImage(bench.world.pool, image, () => controller.abort(), {
        signal: controller.signal,
      })
      await expect(ended).rejects.toThrow()
      expect(await state(image.digest)).toBe('Partial')
      await place(image)
      expect(await state(image.digest)).toBe('Complete')
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    test('a marker that was cut short, emptied, or is of another image counts for nothing', async () => {
      const image = imageContent(randomContent())
      await place(image)
      const marker = volumeNames.imageMarker(image.digest)
      const whole = await bench.world.readVolume(bench.world.pool, marker)
      const other = Buffer.from(whole.toString().replace(image.digest, 'f'.repeat(64)))
      for (const wrong of [whole.subarray(0, whole.length - 8), Buffer.alloc(whole.length), Buffer.alloc(0), other]) {
        await bench.world.writeVolume(bench.world.pool, marker, wrong)
        expect(await state(image.digest)).toBe('Partial')
      }
      await place(image)
      expect(await state(image.digest)).toBe('Complete')
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    test('a marker does not vouch for an image that lost its end', async () => {
      const content = randomContent()
      const image = imageContent(content)
      await place(image)
      await bench.world.writeVolume(
        bench.world.pool,
        volumeNames.image(image.digest),
        content.subarray(0, content.length / 2),
      )
      expect(await state(image.digest)).toBe('Partial')
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    test.each([
      ['of another digest', (image: ImageContent) => ({ ...image, digest: 'a'.repeat(64) })],
      ['shorter than said', (image: ImageContent) => ({ ...image, length: image.length + 1 })],
      ['longer than said', (image: ImageContent) => ({ ...image, length: image.length - 1 })],
    ])('content %s is refused, and nothing is Complete', async (_, change) => {
      const image = change(imageContent(randomContent()))
      await expectRefusal(place(image), 'TemporaryFailure')
      expect(await state(image.digest)).not.toBe('Complete')
      await bench.session.removeImage(bench.world.pool, image.digest)
      expect(await state(image.digest)).toBe('Absent')
    })

    test('a pool without room refuses with StorageFull, and nothing is Complete', async () => {
      const image = imageContent(Buffer.alloc(24 * MiB, 7))
      const placing = bench.session.placeImage(bench.world.smallPool, image, ignoreProgress)
      await expectRefusal(placing, 'StorageFull')
      expect((await bench.session.placedImage(bench.world.smallPool, image.digest)).state).not.toBe('Complete')
    })

    test('a pool that is not there is PoolNotFound, a digest that is none is refused', async () => {
      const { digest } = imageContent(randomContent(8))
      await expectRefusal(bench.session.placedImage('contract-no-such-pool', digest), 'PoolNotFound')
      await expectRefusal(bench.session.removeImage(bench.world.pool, '../etc'), 'InvalidConfiguration')
    })
  })

  describe('disks over placed images', () => {
    const rootDisk = (image: ImageContent, instanceID = randomUUID(), capacity = 8 * MiB) => ({
      instanceID,
      pool: bench.world.pool,
      volume: volumeNames.disk(instanceID, 'root'),
      image: { digest: image.digest, format: image.format },
      capacity,
    })

    test.each(['raw', 'qcow2'] as const)(
      'a copy-on-write disk over a %s image starts with a machine',
      async (format) => {
        const { qcow2 } = bench.world
        const image =
          format === 'raw' ? imageContent(randomContent()) : imageContent(qcow2.content, { format: 'qcow2' })
        await place(image)
        const capacity = Math.max(8 * MiB, qcow2.virtualSize)
        const disk = rootDisk(image, undefined, capacity)
        await bench.session.createDisk(disk)
        const { volumes } = await bench.session.observe(disk.instanceID)
        expect(volumes).toMatchObject([{ pool: disk.pool, name: disk.volume, capacity }])
        const spec = bench.spec({
          tag: { instanceID: disk.instanceID },
          disks: [{ name: 'root', pool: disk.pool, volume: disk.volume }],
        })
        await bench.withMachine(spec, async (id) => {
          await bench.session.start(id)
          expect((await bench.machine(id)).power).toBe('Running')
          await expectRefusal(bench.session.deleteVolume(id, disk.pool, disk.volume), 'InUse')
          await expectRefusal(bench.session.removeImage(bench.world.pool, image.digest), 'InUse')
          expect(await state(image.digest)).toBe('Complete')
        })
        expect((await bench.session.observe(disk.instanceID)).volumes).toEqual([])
        await bench.session.removeImage(bench.world.pool, image.digest)
      },
    )

    test.each(['off', 'running'] as const)(
      'a disk that a snapshot moved to another file while the machine was %s is never moved back',
      async (power) => {
        const { pool, qcow2 } = bench.world
        const image = imageContent(qcow2.content, { format: 'qcow2' })
        await place(image)
        const disk = rootDisk(image, undefined, qcow2.virtualSize)
        await bench.session.createDisk(disk)
        const spec = bench.spec({
          tag: { instanceID: disk.instanceID },
          disks: [{ name: 'root', pool, volume: disk.volume }],
        })
        await bench.withMachine(spec, async (id) => {
          if (power === 'running') await bench.session.start(id)
          await bench.world.snapshotDisks(id)
          const moved = await bench.world.describeMachine(id)
          const sources = (description: string) => description.match(/<source file=[^>]*>/g)
          expect(sources(moved)).toContainEqual(expect.stringContaining(`${disk.volume}.`))
          await expectRefusal(bench.session.define(spec), 'Drifted')
          await expectRefusal(bench.session.define({ ...spec, cpus: 2 }), 'Drifted')
          expect(await bench.world.describeMachine(id)).toBe(moved)
          await bench.session.park(id)
          expect(sources(await bench.world.describeMachine(id))).toEqual(sources(moved))
          await expectRefusal(bench.session.define(spec), 'Drifted')
        })
        await bench.session.removeImage(pool, image.digest)
      },
    )

    test('no disk is made while its image is absent or half there', async () => {
      const image = imageContent(randomContent())
      const disk = rootDisk(image)
      await expectRefusal(bench.session.createDisk(disk), 'WaitingForImage')
      await place(image)
      await bench.world.writeVolume(bench.world.pool, volumeNames.imageMarker(image.digest), Buffer.alloc(0))
      await expectRefusal(bench.session.createDisk(disk), 'WaitingForImage')
      expect((await bench.session.observe(disk.instanceID)).volumes).toEqual([])
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    test('an existing disk is left as it is', async () => {
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

    test('a disk smaller than its image is refused', async () => {
      const image = imageContent(bench.world.qcow2.content, { format: 'qcow2' })
      await place(image)
      const disk = rootDisk(image, undefined, bench.world.qcow2.virtualSize - 512)
      await expectRefusal(bench.session.createDisk(disk), 'SmallerThanImage')
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    test('define refuses a machine whose disk is gone', async () => {
      const instanceID = randomUUID()
      const volume = volumeNames.disk(instanceID, 'root')
      const spec = bench.spec({ tag: { instanceID }, disks: [{ name: 'root', pool: bench.world.pool, volume }] })
      await expectRefusal(bench.session.define(spec), 'DiskMissing')
      expect((await bench.session.observe(instanceID)).machine).toBeUndefined()
    })
  })
}
