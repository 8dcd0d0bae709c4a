import {
  ErrorCode,
  LibvirtAbortError,
  LibvirtConnectionError,
  LibvirtError,
  LibvirtProtocolError,
  LibvirtTimeoutError,
} from 'node-libvirt'
import { BerthError, type ErrorCode as BerthErrorCode, toBerthError } from '../../errors/index.ts'
import { parkedNetwork } from './domain-xml.ts'

/** Whether a call could have changed something: only then its loss is ambiguous. */
export type Effect = 'Read' | 'Mutation'

export function isLibvirtError(error: unknown, ...codes: readonly (keyof typeof ErrorCode)[]): error is LibvirtError {
  return error instanceof LibvirtError && codes.some((code) => error.code === ErrorCode[code])
}

// Without a code of their own, libvirt says these only in words: qemu-img's and the kernel's come through as they are.
const fullWords = /no space left on device|disk quota exceeded|not enough (free )?space/i
const busyWords =
  /asynchronous jobs running|is already active|still in use|still being allocated|being (removed|started|migrated)|state change lock|another .* job|device or resource busy/i

/** libvirt filters bridges alone: no macvtap, no Open vSwitch. */
const unfiltered = /filterref is not supported/
/** That, or the host's ebtables does not work. */
const filterWords = /filterref is not supported|apply firewall|ebtables/

/** What libvirt, or the way to it, said, as an error of the table. libvirt's own words stay in the message. */
export function mapError(error: unknown, effect: Effect): BerthError {
  if (error instanceof BerthError) return error
  if (error instanceof LibvirtError) return refusal(error)
  if (error instanceof LibvirtConnectionError && error.phase === 'open') return notOpened(error)
  if (error instanceof LibvirtTimeoutError) {
    return lost(error, effect, 'CallTimedOut', 'HypervisorUnreachable', 'The hypervisor did not answer in time')
  }
  if (error instanceof LibvirtAbortError) {
    return lost(error, effect, 'CallTimedOut', 'TemporaryFailure', 'The wait for the hypervisor was ended')
  }
  if (error instanceof LibvirtConnectionError) {
    return lost(error, effect, 'ConnectionLost', 'HypervisorUnreachable', 'The connection to the hypervisor ended')
  }
  if (error instanceof LibvirtProtocolError) {
    return lost(error, effect, 'ConnectionLost', 'InternalError', 'The answer of the hypervisor cannot be read')
  }
  return toBerthError(error)
}

function lost(
  error: Error & { readonly effectUnknown: boolean },
  effect: Effect,
  ambiguous: BerthErrorCode,
  harmless: BerthErrorCode,
  what: string,
): BerthError {
  const code = effect === 'Mutation' && error.effectUnknown ? ambiguous : harmless
  return new BerthError(code, `${what}: ${error.message}`, { cause: error })
}

function notOpened(error: LibvirtConnectionError): BerthError {
  const { reason, message } = error
  const make = (code: BerthErrorCode, words: string) => new BerthError(code, `${words}: ${message}`, { cause: error })
  if (reason === 'CertificateInvalid') return make('CertificateInvalid', "The hypervisor's certificate is refused")
  if (reason === 'HostKeyUnknown' || reason === 'HostKeyChanged') {
    return make('CertificateInvalid', "The hypervisor's SSH key is refused")
  }
  if (
    reason === 'CertificateRefused' ||
    reason === 'PermissionDenied' ||
    reason === 'AuthenticationFailed' ||
    reason === 'AuthenticationUnsupported' ||
    reason === 'TLS'
  ) {
    return make('CredentialsInvalid', 'The hypervisor does not let us in')
  }
  return make('HypervisorUnreachable', 'No connection to the hypervisor')
}

function refusal(error: LibvirtError): BerthError {
  const mend = filterWords.test(error.message) ? '; set antiSpoofing of its Network to Disabled' : ''
  return new BerthError(refusalCode(error), `libvirt: ${error.message}${mend}`, { cause: error })
}

function refusalCode(error: LibvirtError): BerthErrorCode {
  const is = (...codes: readonly (keyof typeof ErrorCode)[]): boolean => isLibvirtError(error, ...codes)
  if (fullWords.test(error.message)) return 'StorageFull'
  // A volume that exists where none was a moment ago: someone else makes it at this time.
  if (is('OPERATION_TIMEOUT', 'RESOURCE_BUSY', 'STORAGE_VOL_EXIST') || busyWords.test(error.message)) {
    return 'HypervisorBusy'
  }
  if (is('AUTH_FAILED', 'AUTH_CANCELLED', 'AUTH_UNAVAILABLE', 'ACCESS_DENIED')) {
    return 'CredentialsInvalid'
  }
  if (is('NO_SUPPORT') || unfiltered.test(error.message)) return 'NotSupported'
  if (is('NO_STORAGE_POOL')) return 'PoolNotFound'
  // The network of a parked machine never exists: that is the fence at work, and no network to wait for.
  if (is('NO_NETWORK') && !error.message.includes(parkedNetwork)) return 'NetworkNotFound'
  return 'HypervisorRefused'
}
