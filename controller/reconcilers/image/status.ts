/** Status and conditions of an image. Pure. */
import type { ImageState } from '@berth/images'
import { formatBytes, type ImageStatus } from '../../api/index.ts'
import type { ErrorCode } from '../../errors/index.ts'
import type { ConditionFact } from '../../runtime/port.ts'
import { isFalse, isTrue, summarize } from '../shared/conditions.ts'
import type { Placing } from './placing.ts'

type Fields = Omit<ImageStatus, 'conditions' | 'observedGeneration'>

export function fieldsOf(
  previous: ImageStatus | undefined,
  state: ImageState,
  placings: readonly Placing[],
  usedBy: number,
): Fields {
  const placements = placings.map(({ storagePool, digest, state: placed, percent }) => ({
    storagePool,
    digest,
    state: placed,
    ...(percent === undefined ? {} : { percent }),
  }))
  return { ...contentOf(previous, state), placements, usedBy } as Fields
}

/** What is known of the content. Once stored it stays known, also while it is fetched anew: machines pin its digest. */
function contentOf(previous: ImageStatus | undefined, state: ImageState): Fields {
  const stored = storedBefore(previous)
  switch (state.state) {
    case 'Fetching':
      return {
        ...stored,
        state: 'Fetching',
        ...(state.total ? { progress: `${Math.floor((state.received * 100) / state.total)}%` } : {}),
      }
    case 'Verifying':
      return { ...stored, state: 'Verifying', progress: '100%' }
    case 'Failed':
      return { ...stored, state: 'Failed' }
    case 'Ready': {
      const { digest, format, virtualSize, storedSize } = state.image
      // Its digest never changes under one object.
      if (stored.digest !== undefined && stored.digest !== digest) return { ...stored, state: 'Failed' }
      return {
        state: 'Ready',
        digest,
        format: format === 'qcow2' ? 'QCOW2' : 'Raw',
        virtualSize: formatBytes(virtualSize),
        storedSize: formatBytes(storedSize),
      }
    }
  }
}

function storedBefore({ digest, format, virtualSize, storedSize }: ImageStatus = {}): Fields {
  const known = { digest, format, virtualSize, storedSize }
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
}

export function factsOf(state: ImageState, placings: readonly Placing[]): ConditionFact[] {
  switch (state.state) {
    case 'Fetching': {
      const message = fetchingMessage(state)
      const reason = state.retrying === undefined ? 'Fetching' : 'TemporaryFailure'
      return [...summarize(isFalse('Ready', reason, message)), isFalse('Fetched', reason, message)]
    }
    case 'Verifying':
      return [
        ...summarize(isFalse('Ready', 'Verifying', 'the content is being checked')),
        isTrue('Fetched', 'Complete', 'all bytes are here'),
      ]
    case 'Failed':
      return failed(state.failure, state.message)
    case 'Ready': {
      const trouble = placings.find(({ problem }) => problem !== undefined)
      const message = trouble
        ? `stored; placing it in ${trouble.storagePool} failed: ${trouble.problem?.message}`
        : 'stored, and can be used'
      const verified = state.image.checksum === 'Matches' ? 'ChecksumMatches' : 'ChecksumWaived'
      return [
        isTrue('Ready', 'Available', message),
        isTrue('Fetched', 'Complete', 'all bytes are here'),
        isTrue(
          'Verified',
          verified,
          state.image.checksum === 'Matches' ? 'the checksum is the one declared' : 'no checksum was declared',
        ),
      ]
    }
  }
}

function failed(code: ErrorCode, message: string): ConditionFact[] {
  const verification =
    code === 'ChecksumMismatch' || code === 'UnsafeFormat' ? [isFalse('Verified', code, message)] : []
  return [...summarize(isFalse('Ready', code, message)), ...verification]
}

function fetchingMessage({ received, total, retrying }: Extract<ImageState, { state: 'Fetching' }>): string {
  const done = total === undefined ? `${received} bytes` : `${received} of ${total} bytes`
  return retrying === undefined ? done : `${done}; ${retrying}`
}
