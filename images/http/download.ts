import { type Dispatcher, request } from 'undici'
import type { Clock } from '../clock.ts'
import { ImageError, temporary } from '../failure.ts'
import type { Limits } from '../options.ts'
import type { Partial } from '../store/partial.ts'
import type { Space } from '../store/space.ts'
import { fromStatus, fromTransport } from './failures.ts'
import { contentLength, contentRange, type Headers, header, validator } from './headers.ts'
import { RateWatch } from './rate-watch.ts'
import { parseSourceURL, redactURL } from './url.ts'

export interface Download {
  readonly url: URL
  /** Whether the content is verified afterwards. Without that, stricter rules hold for what is taken. */
  readonly hasChecksum: boolean
  readonly partial: Partial
  readonly agent: Dispatcher
  readonly space: Space
  readonly limits: Limits
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Called after every piece. */
  readonly onProgress: () => void
}

interface Answer {
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  readonly body: Dispatcher.ResponseData['body']
}

const checkpointInterval = 1000

/**
 * One request, from where the partial file ends to the end of the content. Returns when every byte that the server
 * announced has been written. Throws ImageError, TemporaryFailure for what another try may mend, with everything
 * received so far in the partial file; and the signal's reason when that is aborted.
 */
export async function download(options: Download): Promise<void> {
  const attempt = new AbortController()
  let ours: ImageError | undefined
  const giveUp = (error: ImageError) => {
    ours ??= error
    attempt.abort(error)
  }
  const onAbort = () => attempt.abort(options.signal.reason)
  options.signal.throwIfAborted()
  options.signal.addEventListener('abort', onAbort, { once: true })
  try {
    const answer = await follow(options, attempt.signal, giveUp)
    try {
      await prepare(options, answer)
      await receive(options, answer, giveUp)
    } finally {
      discard(answer)
    }
  } catch (error) {
    options.signal.throwIfAborted()
    throw ours ?? error
  } finally {
    options.signal.removeEventListener('abort', onAbort)
  }
}

/** Lets go of a body that is not (wholly) wanted, with its connection. */
function discard(answer: Answer): void {
  answer.body.on('error', () => {})
  answer.body.destroy()
}

async function follow(options: Download, signal: AbortSignal, giveUp: (error: ImageError) => void): Promise<Answer> {
  const { limits, partial } = options
  let url = options.url
  for (let redirects = 0; ; redirects++) {
    const cancelTimeout = options.clock.after(limits.responseTimeout, () =>
      giveUp(temporary(`${url.host} does not answer within ${limits.responseTimeout / 1000} s`)),
    )
    let answer: Answer
    try {
      const { statusCode, headers, body } = await request(url.href, {
        dispatcher: options.agent,
        signal,
        headersTimeout: 0, // both are watched here, body by its rate
        bodyTimeout: 0,
        headers: {
          accept: '*/*',
          'accept-encoding': 'identity',
          'user-agent': 'berth-images',
          ...(partial.received > 0 && partial.validator !== undefined
            ? { range: `bytes=${partial.received}-`, 'if-range': partial.validator }
            : {}),
        },
      })
      answer = { url, status: statusCode, headers, body }
    } catch (error) {
      throw fromTransport(error, url.host)
    } finally {
      cancelTimeout()
    }
    const location = header(answer.headers, 'location')
    if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer
    discard(answer)
    if (redirects >= limits.redirects) {
      throw new ImageError(
        'InvalidConfiguration',
        `${redactURL(options.url)} redirects more than ${limits.redirects} times`,
      )
    }
    url = redirectTarget(url, location, options.hasChecksum)
  }
}

function redirectTarget(from: URL, location: string, hasChecksum: boolean): URL {
  const place = redactURL(from)
  const target = URL.parse(location, from.href)
  if (!target) throw new ImageError('InvalidConfiguration', `${place} redirects to what is not a URL`)
  try {
    parseSourceURL(target.href)
  } catch {
    throw new ImageError('SourceForbidden', `${place} redirects to a URL with credentials or of another scheme`)
  }
  if (from.protocol === 'https:' && target.protocol === 'http:' && !hasChecksum) {
    throw new ImageError('SourceForbidden', `${place} redirects from https to http: set checksum, or use another URL`)
  }
  return target
}

/** Makes the partial file fit what the server is about to send. */
async function prepare(options: Download, { url, status, headers }: Answer): Promise<void> {
  const { partial } = options
  const place = redactURL(url)
  if (status === 416 || (status === 206 && !continues(partial, headers))) {
    await partial.begin({})
    throw temporary(`${place} does not continue where it was: it is fetched anew`)
  }
  if (status !== 200 && status !== 206) {
    throw fromStatus(status, place, header(headers, 'retry-after'), options.clock.now())
  }
  const encoding = header(headers, 'content-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    throw new ImageError(
      'InvalidConfiguration',
      `${place} is sent with Content-Encoding ${encoding.slice(0, 20)}: serve the file as it is`,
    )
  }
  const length = contentLength(headers)
  if (length === undefined && header(headers, 'transfer-encoding') === undefined && !options.hasChecksum) {
    throw new ImageError(
      'InvalidConfiguration',
      `${place} is sent without its length, so a cut would go unnoticed: set checksum`,
    )
  }
  if (status === 206) {
    const range = contentRange(headers)
    if (length !== undefined && range && length !== range.end - range.start + 1) {
      throw temporary(`${place} announces a length and a range that differ`)
    }
    await partial.resume(range?.total)
  } else {
    await partial.begin({ total: length, validator: validator(headers) })
  }
  checkSize(options, place)
  options.space.claim(partial.key, remaining(partial))
  await options.space.check(partial.key)
}

/** Whether a 206 goes on exactly where the partial file ends, up to the end of the same content. */
function continues(partial: Partial, headers: Headers): boolean {
  const range = contentRange(headers)
  const total = range?.total ?? partial.total
  const tag = header(headers, 'etag')
  return (
    partial.received > 0 &&
    range?.start === partial.received &&
    total !== undefined &&
    range.end === total - 1 &&
    (partial.total === undefined || total === partial.total) &&
    (tag === undefined || !partial.validator?.startsWith('"') || tag === partial.validator)
  )
}

function remaining(partial: Partial): number {
  return partial.total === undefined ? 0 : partial.total - partial.received
}

function checkSize({ partial, limits }: Download, place: string): void {
  const size = Math.max(partial.received, partial.total ?? 0)
  if (size > limits.maximumSize) {
    throw new ImageError('TooLarge', `${place} has more than the ${limits.maximumSize} bytes that an image may have`)
  }
}

async function receive(options: Download, answer: Answer, giveUp: (error: ImageError) => void): Promise<void> {
  const { partial, limits, clock, space } = options
  const place = redactURL(answer.url)
  const watch = new RateWatch(clock, limits.rateWindow, limits.minimumRate, () =>
    giveUp(temporary(`${answer.url.host} sends less than ${limits.minimumRate} bytes a second`)),
  )
  let checkpointed = clock.monotonic()
  const pieces = answer.body[Symbol.asyncIterator]()
  try {
    for (;;) {
      const piece = await next(pieces, answer.url)
      if (piece === undefined) break
      watch.received(piece.length)
      if (partial.total !== undefined && partial.received + piece.length > partial.total) {
        throw temporary(`${place} sends more bytes than it announced`)
      }
      await watch.excuse(partial.write(piece))
      checkSize(options, place)
      options.onProgress()
      if (clock.monotonic() - checkpointed >= checkpointInterval) {
        checkpointed = clock.monotonic()
        space.claim(partial.key, remaining(partial))
        await watch.excuse(partial.checkpoint())
        await space.check(partial.key)
      }
    }
  } finally {
    watch.stop()
  }
  if (partial.total !== undefined && partial.received !== partial.total) {
    throw temporary(`${place} ended after ${partial.received} of ${partial.total} bytes`)
  }
  await partial.complete()
}

async function next(pieces: AsyncIterator<Uint8Array>, url: URL): Promise<Uint8Array | undefined> {
  try {
    const { done, value } = await pieces.next()
    return done ? undefined : value
  } catch (error) {
    throw fromTransport(error, url.host)
  }
}
