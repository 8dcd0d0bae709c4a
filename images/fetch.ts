import { createHash } from 'node:crypto'
import { backoff, sleep } from './clock.ts'
import { ImageError, temporary, toImageError } from './failure.ts'
import { addressPolicy } from './http/address-policy.ts'
import { createAgent } from './http/connector.ts'
import { download } from './http/download.ts'
import { type Checksum, parseChecksum, parseSourceURL, redactURL } from './http/url.ts'
import { type DiskInspector, inspect } from './inspect/inspect.ts'
import type { Semaphore } from './locks.ts'
import type { Settings } from './options.ts'
import type { FetchRequest, ImageState, StoredImage } from './port.ts'
import { Partial } from './store/partial.ts'
import type { Space } from './store/space.ts'
import type { Store } from './store/store.ts'

export interface FetchEnvironment {
  readonly settings: Settings
  readonly store: Store
  readonly space: Space
  /** So many fetches at once. */
  readonly places: Semaphore
  readonly inspector: DiskInspector
}

type Report = (state: ImageState & { state: 'Fetching' | 'Verifying' }) => void

/** Stops a fetch so that it can go on later: what was received is made durable. Any other reason throws it away. */
export class Suspended extends Error {
  override readonly name = 'Suspended'
}

/** Tells requests apart: partial content of one must never be continued for another. */
export function fingerprintOf({ source, format }: FetchRequest): string {
  const parts = [source.url, source.checksum ?? null, source.caBundle ?? null, format ?? null]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

/**
 * Fetches, verifies and inspects one image, however long that takes, and hands the verified, durable file to `publish`.
 * Throws ImageError for what trying again does not mend (never TemporaryFailure), and the signal's reason.
 */
export async function fetchImage(
  request: FetchRequest,
  environment: FetchEnvironment,
  signal: AbortSignal,
  report: Report,
  publish: (image: StoredImage, path: string) => Promise<void>,
): Promise<void> {
  const { settings, store, space, places } = environment
  const { clock, retry, log } = settings
  const url = parseSourceURL(request.source.url)
  const checksum = request.source.checksum === undefined ? undefined : parseChecksum(request.source.checksum)
  const agent = createAgent({
    policy: addressPolicy(settings.denyAddresses),
    lookup: settings.lookup,
    caBundle: request.source.caBundle,
    timeout: settings.limits.responseTimeout,
  })
  const paths = store.partialPaths(request.id)
  const fingerprint = fingerprintOf(request)
  let partial: Partial | undefined
  let mismatches = 0
  try {
    for (let failures = 0; ; ) {
      const before = partial?.received
      const leave = await places.acquire(signal)
      try {
        partial ??= await Partial.open(request.id, paths, fingerprint, checksum?.algorithm === 'sha512', signal)
        const current = partial
        if (!current.isComplete) {
          const onProgress = () => report(fetching(current))
          onProgress()
          await download({
            url,
            hasChecksum: checksum !== undefined,
            partial: current,
            agent,
            space,
            limits: settings.limits,
            clock,
            signal,
            onProgress,
          })
        }
        report({ state: 'Verifying' })
        if (!matches(current, checksum)) {
          mismatches++
          await reconsider(current, mismatches, checksum)
        }
        const image = await examine(current, request, environment, signal)
        await publish(image, current.path)
        return
      } catch (error) {
        signal.throwIfAborted()
        const failure = toImageError(error)
        if (failure.failure !== 'TemporaryFailure') throw failure
        if (partial !== undefined && partial.received !== before) failures = 0
        const delay = Math.max(
          backoff(failures++, retry.base, retry.maximum),
          Math.min(failure.retryAfter ?? 0, retry.maximum),
        )
        log.info({ image: request.id, source: redactURL(url), delay, reason: failure.message }, 'image is tried again')
        report({ ...fetching(partial), retrying: failure.message })
        leave()
        // What a full or failing disk refuses here is fetched again after a crash.
        await partial?.checkpoint().catch(() => {})
        await sleep(clock, delay, signal)
      } finally {
        leave()
      }
    }
  } finally {
    if (signal.reason instanceof Suspended) await partial?.checkpoint().catch(() => {})
    await partial?.close()
    space.free(request.id)
    await agent.destroy()
  }
}

function fetching(partial: Partial | undefined): ImageState & { state: 'Fetching' } {
  const received = partial?.received ?? 0
  return partial?.total === undefined
    ? { state: 'Fetching', received }
    : { state: 'Fetching', received, total: partial.total }
}

function matches(partial: Partial, checksum: Checksum | undefined): boolean {
  return checksum === undefined || partial.digests()[checksum.algorithm] === checksum.hex
}

/**
 * A wrong checksum is final, unless the content may have been cut or mixed on its way: then it is fetched once more.
 * Always throws.
 */
async function reconsider(partial: Partial, mismatches: number, checksum: Checksum | undefined): Promise<void> {
  if (partial.doubtful && mismatches === 1) {
    await partial.begin({})
    throw temporary('what came in several pieces, or without a length, does not match its checksum: it is fetched anew')
  }
  const actual = checksum && `${checksum.algorithm}:${partial.digests()[checksum.algorithm]}`
  throw new ImageError(
    'ChecksumMismatch',
    `the file has the checksum ${actual}, not the one that is given: correct checksum, or the file`,
  )
}

async function examine(
  partial: Partial,
  request: FetchRequest,
  { inspector, settings }: FetchEnvironment,
  signal: AbortSignal,
): Promise<StoredImage> {
  const { format, virtualSize } = await inspect(partial.path, {
    format: request.format,
    maximumVirtualSize: settings.limits.maximumVirtualSize,
    inspector,
    signal,
  })
  return {
    digest: partial.digests().sha256,
    format,
    virtualSize,
    storedSize: partial.received,
    checksum: request.source.checksum === undefined ? 'Waived' : 'Matches',
  }
}
