/** Image and ClusterImage are one in all but their scope. */
import { type ClusterImage, clusterImages, type Image, images } from '../../api/index.ts'
import type { Cache, Resource } from '../../kube/port.ts'
import type { Caches } from '../shared/caches.ts'

export type AnyImage = Image | ClusterImage

export interface ImageKind {
  readonly name: 'image' | 'clusterimage'
  readonly resource: Resource<AnyImage>
  readonly cache: (caches: Caches) => Cache<AnyImage>
}

export const imageKinds = {
  image: { name: 'image', resource: images as Resource<AnyImage>, cache: ({ images }) => images as Cache<AnyImage> },
  clusterImage: {
    name: 'clusterimage',
    resource: clusterImages as Resource<AnyImage>,
    cache: ({ clusterImages }) => clusterImages as Cache<AnyImage>,
  },
} as const satisfies Record<string, ImageKind>
