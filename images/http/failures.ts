import { codeOf, ImageError, messageOf, temporary } from '../failure.ts'

const certificateCodes = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_CHAIN_TOO_LONG',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

const meanings: Record<string, string> = {
  ECONNREFUSED: 'refuses the connection',
  ECONNRESET: 'cut the connection',
  EPIPE: 'cut the connection',
  ETIMEDOUT: 'does not answer',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  ENOTFOUND: 'is a name that cannot be resolved',
  EAI_AGAIN: 'is a name that cannot be resolved just now',
  UND_ERR_SOCKET: 'cut the connection',
  UND_ERR_CONNECT_TIMEOUT: 'does not answer',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'sent another number of bytes than it announced',
}

/** What went wrong on the way to a host. Undici wraps, and Node bundles the errors of several addresses. */
export function fromTransport(error: unknown, host: string): ImageError {
  for (const one of withCauses(error)) {
    if (one instanceof ImageError) return one
    const code = codeOf(one)
    if (code !== undefined && certificateCodes.has(code)) {
      return new ImageError(
        'CertificateInvalid',
        `the certificate of ${host} is not trusted (${code}): set caBundle, or mend the server`,
        { cause: error },
      )
    }
  }
  const code = codeOf(error)
  const meaning = code === undefined ? undefined : meanings[code]
  return temporary(`${host} ${meaning ?? `failed: ${code ?? messageOf(error)}`}`, { cause: error })
}

function withCauses(error: unknown): unknown[] {
  const found: unknown[] = []
  const pending = [error]
  while (pending.length > 0 && found.length < 32) {
    const one = pending.pop()
    if (typeof one !== 'object' || one === null) continue
    found.push(one)
    if ('cause' in one) pending.push(one.cause)
    if ('errors' in one && Array.isArray(one.errors)) pending.push(...one.errors)
  }
  return found
}

/** A status that is neither a success nor a redirect. `retryAfter` is the header's value; `now` in ms since the epoch. */
export function fromStatus(status: number, place: string, retryAfter: string | undefined, now: number): ImageError {
  if (status === 404 || status === 410) {
    return new ImageError('NotFound', `${place} is not there (HTTP ${status}): correct url`)
  }
  if (status === 401 || status === 403 || status === 407) {
    return new ImageError('AccessDenied', `${place} may not be read (HTTP ${status})`)
  }
  if (status >= 500 || status === 408 || status === 416 || status === 421 || status === 425 || status === 429) {
    return temporary(`${place} answers HTTP ${status}`, { retryAfter: parseRetryAfter(retryAfter, now) })
  }
  return new ImageError('InvalidConfiguration', `${place} answers HTTP ${status}, which is no file: correct url`)
}

/** Milliseconds, from seconds or an HTTP date. */
function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
