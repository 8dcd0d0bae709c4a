/** How the hosts of a pool prove who they are: by a CA, or by certificates that are known by their fingerprints. */
import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { BerthError } from '../../errors/index.ts'

export interface Trust {
  /** PEM. Absent: the CAs that Node knows. */
  readonly certificateAuthority?: string
  /** SHA-256, upper case, joined by colons. Present: no CA counts, and no name. */
  readonly fingerprints?: readonly string[]
}

export type Connector = buildConnector.connector

/** OpenSSL's words for a chain, and Node's for a name, that do not hold. */
const certificateCodes =
  /^(CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY|DECODE|DECRYPT)_|ERR_TLS_CERT_|INVALID_(CA|PURPOSE)$|HOSTNAME_MISMATCH$|PATH_LENGTH_EXCEEDED$)/

/**
 * Opens connections to hosts that are trusted, to others never: CertificateInvalid. For undici of any version, and for
 * Node's own requests. `timeout`: milliseconds to connect. Throws CredentialsInvalid for a CA that cannot be read.
 */
export function trustingConnector({ certificateAuthority: ca, fingerprints }: Trust, timeout: number): Connector {
  requireReadable(ca)
  const connect = buildConnector({
    timeout,
    allowH2: false,
    minVersion: 'TLSv1.2',
    // A resumed session has no certificate to compare.
    maxCachedSessions: 0,
    rejectUnauthorized: fingerprints === undefined,
    ...(ca === undefined || fingerprints !== undefined ? {} : { ca }),
  })
  return (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (error !== null) return callback(refusal(error, options.hostname) ?? error, null)
      const found = 'encrypted' in socket ? (socket as TLSSocket).getPeerCertificate().fingerprint256 : undefined
      if (fingerprints === undefined || (found !== undefined && fingerprints.includes(found))) {
        return callback(null, socket)
      }
      socket.destroy()
      const words = `${options.hostname} shows the certificate ${found ?? '(none)'}, which is not among spec.xapi.certificateFingerprints.`
      callback(new BerthError('CertificateInvalid', words), null)
    })
}

function requireReadable(ca: string | undefined): void {
  try {
    if (ca !== undefined) new X509Certificate(ca)
  } catch (cause) {
    throw new BerthError('CredentialsInvalid', 'ca.crt in the credentials holds no certificates in PEM format.', {
      cause,
    })
  }
}

function refusal(error: Error, host: string): BerthError | undefined {
  const code = 'code' in error ? String(error.code) : ''
  if (!certificateCodes.test(code)) return undefined
  const words = `The certificate of ${host} is refused (${code}): ${error.message}`
  return new BerthError('CertificateInvalid', words, { cause: error })
}
