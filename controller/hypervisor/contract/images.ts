import { expect } from '@jest/globals'
import { BerthError, isBerthError } from '../../errors/index.ts'
import { type ImageContent, volumeNames } from '../port.ts'
import type { Bench } from './bench.ts'
import { ignoreProgress, imageContent, MiB, randomContent } from './content.ts'
import { expectRefusal } from './expectations.ts'

/** A volume that exists proves nothing: an image counts when its marker, written last, is read back. */
export function describeImages(bench: Bench): void {
  const place = (image: ImageContent, progress: (sent: number) => void = ignoreProgress) =>
    bench.session.placeImage(bench.world.pool, image, progress)
  const state = async (digest: string) => (await bench.session.placedImage(bench.world.pool, digest)).state

  bench.group('placed images', () => {
    bench.test(
      'placed to the byte, with progress, and again without reading the content anew',
      ['Uploads'],
      async () => {
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
      },
    )

    bench.test(
      'in another form than it was fetched in: named by its digest, checked by that of the form',
      ['Uploads'],
      async () => {
        const image = { ...imageContent(randomContent()), contentDigest: imageContent(randomContent()).digest }
        await expectRefusal(place(image), 'TemporaryFailure')
        expect(await state(image.digest)).not.toBe('Complete')
        const converted = { ...image, contentDigest: image.digest, digest: image.contentDigest }
        await place(converted)
        expect(await state(converted.digest)).toBe('Complete')
        expect(await state(converted.contentDigest)).not.toBe('Complete')
        await bench.session.removeImage(bench.world.pool, converted.digest)
        await bench.session.removeImage(bench.world.pool, image.digest)
      },
    )

    bench.test('broken off in the middle: Partial, and the next placing succeeds', ['Uploads'], async () => {
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

    bench.test(
      'another writer’s unfinished image is not vouched for by one who ends before it',
      ['Uploads'],
      async () => {
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
          // Where each writes a volume of its own, the first one's counts by itself.
          const outcome = await first.then(
            () => 'Complete',
            (error: unknown) => (isBerthError(error, 'TemporaryFailure') ? 'Partial' : error),
          )
          expect(await state(image.digest)).toBe(outcome)
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
      },
    )

    bench.test('no marker when the caller objects right before any step of writing it', ['Uploads'], async () => {
      let objected = true
      for (let step = 1; objected; step++) {
        const image = imageContent(randomContent())
        objected = false
        let steps = 0
        const beforeMarker = () => {
          if (++steps !== step) return
          objected = true
          throw new BerthError('NotLeader', 'deposed')
        }
        const placing = place({ ...image, beforeMarker })
        await placing.catch(() => undefined)
        expect(objected || step > 1).toBe(true)
        if (objected) {
          await expectRefusal(placing, 'NotLeader')
          expect(await state(image.digest)).toBe('Partial')
          await place(image)
        }
        expect(await state(image.digest)).toBe('Complete')
        await bench.session.removeImage(bench.world.pool, image.digest)
      }
    })

    bench.test(
      'ended by its signal in the middle: never Complete, and the next placing succeeds',
      ['Uploads'],
      async () => {
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
      },
    )

    bench.test(
      'a marker that was cut short, emptied, or is of another image counts for nothing',
      ['Uploads'],
      async () => {
        const image = imageContent(randomContent())
        await place(image)
        for (const damage of ['CutShort', 'Zeroed', 'Emptied', 'OfAnotherImage'] as const) {
          await bench.world.damageMarker(bench.world.pool, image.digest, damage)
          expect([damage, await state(image.digest)]).toEqual([damage, 'Partial'])
          await place(image)
          expect([damage, await state(image.digest)]).toEqual([damage, 'Complete'])
        }
        await bench.session.removeImage(bench.world.pool, image.digest)
      },
    )

    bench.test('a marker does not vouch for an image that lost its end', ['Uploads', 'TruncatedImages'], async () => {
      const image = imageContent(randomContent())
      await place(image)
      await bench.world.truncateImage(bench.world.pool, image.digest)
      expect(await state(image.digest)).toBe('Partial')
      await bench.session.removeImage(bench.world.pool, image.digest)
    })

    for (const [name, change] of [
      ['of another digest', (image: ImageContent) => ({ ...image, digest: 'a'.repeat(64) })],
      ['shorter than said', (image: ImageContent) => ({ ...image, length: image.length + 1 })],
      ['longer than said', (image: ImageContent) => ({ ...image, length: image.length - 1 })],
    ] as const) {
      bench.test(`content ${name} is refused, and nothing is Complete`, ['Uploads'], async () => {
        const image = change(imageContent(randomContent()))
        await expectRefusal(place(image), 'TemporaryFailure')
        expect(await state(image.digest)).not.toBe('Complete')
        await bench.session.removeImage(bench.world.pool, image.digest)
        expect(await state(image.digest)).toBe('Absent')
      })
    }

    bench.test(
      'a pool without room refuses with StorageFull, and nothing is Complete',
      ['Uploads', 'SmallPools'],
      async () => {
        const image = imageContent(Buffer.alloc(24 * MiB, 7))
        const placing = bench.session.placeImage(bench.world.smallPool, image, ignoreProgress)
        await expectRefusal(placing, 'StorageFull')
        expect((await bench.session.placedImage(bench.world.smallPool, image.digest)).state).not.toBe('Complete')
      },
    )

    bench.test('a pool that is not there is PoolNotFound, a digest that is none is refused', [], async () => {
      const { digest } = imageContent(randomContent(8))
      await expectRefusal(bench.session.placedImage('contract-no-such-pool', digest), 'PoolNotFound')
      await expectRefusal(bench.session.removeImage(bench.world.pool, '../etc'), 'InvalidConfiguration')
    })
  })
}
