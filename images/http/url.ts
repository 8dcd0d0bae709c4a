import { X509Certificate } from 'node:crypto'
import { ImageError } from '../failure.ts'
import type { HttpSource } from '../port.ts'

/** A URL for messages and logs: without user, password, query and fragment, where tokens are carried. */
export function redactURL(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

/** Throws ImageError InvalidConfiguration; the message does not repeat what may be a secret. */
export function parseSourceURL(text: string): URL {
  const url = URL.parse(text)
  if (!url) throw new ImageError('InvalidConfiguration', 'url is not a URL: give http://… or https://…')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ImageError('InvalidConfiguration', `url has the scheme ${url.protocol.slice(0, -1)}: use http or https`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new ImageError('InvalidConfiguration', 'url must not hold a user name or password')
  }
  return url
}

export interface Checksum {
  readonly algorithm: 'sha256' | 'sha512'
  readonly hex: string
}

/** Throws ImageError InvalidConfiguration. */
export function parseChecksum(text: string): Checksum {
  const match = /^(?:(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128}))$/i.exec(text)
  const algorithm = (match?.[1] ?? match?.[3])?.toLowerCase()
  const hex = (match?.[2] ?? match?.[4])?.toLowerCase()
  if ((algorithm !== 'sha256' && algorithm !== 'sha512') || hex === undefined) {
    throw new ImageError(
      'InvalidConfiguration',
      'checksum must be sha256: with 64, or sha512: with 128, hexadecimal digits',
    )
  }
  return { algorithm, hex }
}

const certificatePattern = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** Throws ImageError InvalidConfiguration when nothing in it is a certificate, or something in it is none. */
function checkCABundle(pem: string): void {
  const certificates = pem.match(certificatePattern)
  if (!certificates) throw new ImageError('InvalidConfiguration', 'caBundle holds no certificate in PEM format')
  for (const certificate of certificates) {
    try {
      new X509Certificate(certificate)
    } catch (cause) {
      throw new ImageError('InvalidConfiguration', 'caBundle holds a certificate that cannot be read', { cause })
    }
  }
}

/** Throws ImageError InvalidConfiguration for what could never be fetched. */
export function checkSource(source: HttpSource): void {
  parseSourceURL(source.url)
  if (source.checksum !== undefined) parseChecksum(source.checksum)
  if (source.caBundle !== undefined) checkCABundle(source.caBundle)
}
