import { errorName } from './error-codes.ts'

/** Fields of libvirt's own error structure that callers can decide on. */
export interface LibvirtErrorFields {
  /** One of {@link ErrorCode}; numbers of newer servers may be missing there. */
  readonly code: number
  /** Part of libvirt that failed (virErrorDomain, virterror.h): 10 is QEMU, 18 storage, 19 network. */
  readonly domain: number
  /** 1 warning, 2 error. */
  readonly level: number
  /** Name of the remote procedure that was called, as in remote_protocol.x: `domain_create_with_flags`. */
  readonly procedure: string
}

/** The server answered with an error. What was asked did not happen, as far as libvirt knows. */
export class LibvirtError extends Error implements LibvirtErrorFields {
  override readonly name = 'LibvirtError'
  readonly code: number
  readonly domain: number
  readonly level: number
  readonly procedure: string

  constructor(message: string, fields: LibvirtErrorFields) {
    super(message || errorName(fields.code))
    this.code = fields.code
    this.domain = fields.domain
    this.level = fields.level
    this.procedure = fields.procedure
  }
}

/** What every error knows that came from us and not from the server. */
export interface EffectFields {
  /** False only when it is certain that the request never left this process. */
  readonly effectUnknown: boolean
  readonly procedure?: string | undefined
  readonly cause?: unknown
}

/** No answer within the deadline. A late answer is ignored. */
export class LibvirtTimeoutError extends Error implements EffectFields {
  override readonly name = 'LibvirtTimeoutError'
  readonly effectUnknown: boolean
  readonly procedure: string | undefined

  constructor(message: string, fields: EffectFields) {
    super(message)
    this.effectUnknown = fields.effectUnknown
    this.procedure = fields.procedure
  }
}

/** The caller's signal ended the wait; `cause` is the signal's reason. */
export class LibvirtAbortError extends Error implements EffectFields {
  override readonly name = 'LibvirtAbortError'
  readonly effectUnknown: boolean
  readonly procedure: string | undefined

  constructor(message: string, fields: EffectFields) {
    super(message, { cause: fields.cause })
    this.effectUnknown = fields.effectUnknown
    this.procedure = fields.procedure
  }
}

/** An answer that does not follow the protocol, or a number in it that JavaScript cannot hold exactly. */
export class LibvirtProtocolError extends Error implements EffectFields {
  override readonly name = 'LibvirtProtocolError'
  readonly effectUnknown: boolean
  readonly procedure: string | undefined

  constructor(message: string, fields: EffectFields) {
    super(message, { cause: fields.cause })
    this.effectUnknown = fields.effectUnknown
    this.procedure = fields.procedure
  }
}

/**
 * Why there is no connection:
 * - `Refused`: nothing listens there. `Unreachable`: no way to the host, or its name is unknown.
 * - `PermissionDenied`: the unix socket's mode keeps us out.
 * - `CertificateInvalid`: the server's certificate fails our check (authority, name, dates).
 * - `CertificateRefused`: the server does not accept our certificate, or we gave none.
 * - `TLS`: any other failure of the handshake, and certificates of ours that cannot be read.
 * - `HostKeyUnknown`: the SSH server is not among the known hosts. `HostKeyChanged`: it shows another key than they have.
 * - `SSH`: any other failure of SSH.
 * - `AuthenticationFailed`: user, password or key are refused, lack, or cannot be read.
 * - `AuthenticationUnsupported`: the server demands a way to log in that this client does not have.
 * - `Timeout`: the deadline of the opening passed. `Aborted`: the caller's signal.
 * - `KeepaliveTimeout`: the server fell silent. `Protocol`: it sent what cannot be a message.
 * - `Lost`: the other side, or the network, closed. `Closed`: `close()` was called.
 */
export type ConnectionErrorReason =
  | 'Refused'
  | 'Unreachable'
  | 'PermissionDenied'
  | 'CertificateInvalid'
  | 'CertificateRefused'
  | 'TLS'
  | 'HostKeyUnknown'
  | 'HostKeyChanged'
  | 'SSH'
  | 'AuthenticationFailed'
  | 'AuthenticationUnsupported'
  | 'Timeout'
  | 'Aborted'
  | 'KeepaliveTimeout'
  | 'Protocol'
  | 'Lost'
  | 'Closed'

export interface ConnectionErrorFields extends EffectFields {
  /** `open`: there never was a connection. `established`: it ended. */
  readonly phase: 'open' | 'established'
  readonly reason: ConnectionErrorReason
}

/** The connection could not be opened, or ended. */
export class LibvirtConnectionError extends Error implements ConnectionErrorFields {
  override readonly name = 'LibvirtConnectionError'
  readonly phase: 'open' | 'established'
  readonly reason: ConnectionErrorReason
  readonly effectUnknown: boolean
  readonly procedure: string | undefined

  constructor(message: string, fields: ConnectionErrorFields) {
    super(message, { cause: fields.cause })
    this.phase = fields.phase
    this.reason = fields.reason
    this.effectUnknown = fields.effectUnknown
    this.procedure = fields.procedure
  }
}
