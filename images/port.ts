/**
 * The image service as its users see it: fetches images, verifies and inspects them in limited child processes,
 * stores them by content. It has no credentials of any hypervisor and knows nothing of Kubernetes.
 */

export interface HttpSource {
  readonly url: string
  /** `sha256:<hex>` or `sha512:<hex>` of the file as fetched. Absent: knowingly waived. */
  readonly checksum?: string
  /** PEM certificates trusted for this URL instead of the system's. */
  readonly caBundle?: string
}

export interface FetchRequest {
  /** Who wants it: one stored content is kept as long as one id holds it. */
  readonly id: string
  readonly source: HttpSource
  /** Refuse anything else. Absent: found out. */
  readonly format?: 'qcow2' | 'raw'
}

/** A failure's code; the same words as the controller's error table. */
export type ImageFailure =
  | 'ChecksumMismatch'
  | 'UnsafeFormat'
  | 'InvalidConfiguration'
  | 'TooLarge'
  | 'NotFound'
  | 'AccessDenied'
  | 'CertificateInvalid'
  | 'StoreFull'
  | 'SourceForbidden'
  | 'TemporaryFailure'

export interface StoredImage {
  /** sha256 of the stored content, 64 hexadecimal digits. */
  readonly digest: string
  readonly format: 'qcow2' | 'raw'
  /** Size of the disk as a guest sees it, bytes. */
  readonly virtualSize: number
  /** Bytes stored. */
  readonly storedSize: number
  readonly checksum: 'Matches' | 'Waived'
}

export type ImageState =
  | { readonly state: 'Fetching'; readonly received: number; readonly total?: number; readonly retrying?: string }
  | { readonly state: 'Verifying' }
  | { readonly state: 'Ready'; readonly image: StoredImage }
  /**
   * Final for this source until it is released. TemporaryFailure never ends up here: it is retried inside. StoreFull is
   * tried again by the next `ensure` that finds room.
   */
  | { readonly state: 'Failed'; readonly failure: ImageFailure; readonly message: string }

/** Stored content as the bytes of the disk that it stands for. */
export interface RawForm {
  /** Bytes: the virtual size. */
  readonly length: number
  /** sha256 of these bytes, 64 hexadecimal digits. */
  readonly digest: string
  /** May be called again. */
  open(): AsyncIterable<Uint8Array>
  /** Lets go of it; it takes room until then. */
  close(): Promise<void>
}

export interface ImageService {
  /** Starts fetching, or goes on where it was (also after a restart); the same request again changes nothing, another source starts anew. */
  ensure(request: FetchRequest): Promise<ImageState>
  /** Undefined: nothing is known of that id. */
  state(id: string): Promise<ImageState | undefined>
  /** Stops fetching for that id and lets go of its content; content that no id holds is deleted. */
  release(id: string): Promise<void>
  /** Stored content by digest. Rejects when it is not there. `start` and `end` (exclusive) are byte offsets. */
  open(digest: string, range?: { start?: number; end?: number }): AsyncIterable<Uint8Array>
  /** The raw form of stored qcow2 content, which takes as long to make as it is big. Rejects with an ImageError. */
  openRaw(digest: string, signal: AbortSignal): Promise<RawForm>
  /** Called with the id after each change of its state, progress at most once a second. Returns what unsubscribes. */
  onChange(listener: (id: string) => void): () => void
  close(): Promise<void>
}
