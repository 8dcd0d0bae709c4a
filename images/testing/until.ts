import type { ImageService, ImageState } from '../port.ts'

/** The first state of an id for which the condition holds, by the service's own notices. */
export function stateWhere(
  service: ImageService,
  id: string,
  condition: (state: ImageState) => boolean,
): Promise<ImageState> {
  return new Promise((resolve, reject) => {
    const look = async () => {
      const state = await service.state(id)
      if (!state || !condition(state)) return
      unsubscribe()
      resolve(state)
    }
    const unsubscribe = service.onChange((changed) => {
      if (changed === id) look().catch(reject)
    })
    look().catch(reject)
  })
}

export function settled(service: ImageService, id: string): Promise<ImageState> {
  return stateWhere(service, id, ({ state }) => state === 'Ready' || state === 'Failed')
}
