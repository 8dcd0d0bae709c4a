import type { FetchRequest, ImageService, ImageState } from './port.ts'

/**
 * An image service that opens its store when it is first asked for something. A store is one process's at a time: a
 * standby must not hold the one that its leader works on.
 */
export function lazyImageService(open: () => Promise<ImageService>): ImageService {
  const listeners = new Set<(id: string) => void>()
  let opened: Promise<ImageService> | undefined
  const service = (): Promise<ImageService> => {
    opened ??= open().then(
      (made) => {
        made.onChange((id) => {
          for (const listener of listeners) listener(id)
        })
        return made
      },
      (error: unknown) => {
        opened = undefined
        throw error
      },
    )
    return opened
  }
  return {
    ensure: async (request: FetchRequest): Promise<ImageState> => (await service()).ensure(request),
    state: async (id) => (await service()).state(id),
    release: async (id) => (await service()).release(id),
    async *open(digest, range) {
      yield* (await service()).open(digest, range)
    },
    openRaw: async (digest, signal) => (await service()).openRaw(digest, signal),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      await (await opened?.catch(() => undefined))?.close()
    },
  }
}
