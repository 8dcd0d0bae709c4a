/** What a file is by its first bytes, for the formats that people try. */
export type Identity =
  | { readonly kind: 'qcow2' }
  /** Has a partition table or boot sector: plausibly a raw disk. */
  | { readonly kind: 'disk' }
  /** `asRaw`: it may also be meant as the bytes of a disk. */
  | { readonly kind: 'foreign'; readonly name: string; readonly asRaw: boolean }
  | { readonly kind: 'unknown' }

interface Magic {
  readonly name: string
  readonly offset: number
  readonly bytes: string
  readonly asRaw?: boolean
}

const magics: readonly Magic[] = [
  { name: 'a VMDK disk', offset: 0, bytes: 'KDMV' },
  { name: 'a VMDK disk', offset: 0, bytes: 'COWD' },
  { name: 'a VMDK descriptor', offset: 0, bytes: '# Disk DescriptorFile' },
  { name: 'a VDI disk', offset: 64, bytes: '\x7f\x10\xda\xbe' },
  { name: 'a VHDX disk', offset: 0, bytes: 'vhdxfile' },
  { name: 'a VHD disk', offset: 0, bytes: 'conectix' },
  { name: 'a QED disk', offset: 0, bytes: 'QED\0' },
  { name: 'a Parallels disk', offset: 0, bytes: 'WithoutFreeSpace' },
  { name: 'a Parallels disk', offset: 0, bytes: 'WithouFreSpacExt' },
  { name: 'a Bochs disk', offset: 0, bytes: 'Bochs Virtual HD Image' },
  { name: 'gzip-compressed', offset: 0, bytes: '\x1f\x8b' },
  { name: 'xz-compressed', offset: 0, bytes: '\xfd7zXZ\0' },
  { name: 'zstd-compressed', offset: 0, bytes: '\x28\xb5\x2f\xfd' },
  { name: 'bzip2-compressed', offset: 0, bytes: 'BZh' },
  { name: 'lz4-compressed', offset: 0, bytes: '\x04\x22\x4d\x18' },
  { name: 'a zip archive', offset: 0, bytes: 'PK\x03\x04' },
  { name: 'a 7-Zip archive', offset: 0, bytes: '7z\xbc\xaf\x27\x1c' },
  { name: 'a tar archive (an OVA is one)', offset: 257, bytes: 'ustar' },
  { name: 'a LUKS-encrypted disk', offset: 0, bytes: 'LUKS\xba\xbe', asRaw: true },
  { name: 'an ISO 9660 image', offset: 32769, bytes: 'CD001', asRaw: true },
  { name: 'a UDF image', offset: 32769, bytes: 'BEA01', asRaw: true },
]

const trailers: readonly { name: string; bytes: string }[] = [
  { name: 'a VHD disk of fixed size', bytes: 'conectix' },
  { name: 'an Apple disk image', bytes: 'koly' },
]

/** `head`: the first 64 KiB (fewer, if the file is shorter); `tail`: the last 512 bytes. */
export function identify(head: Uint8Array, tail: Uint8Array): Identity {
  if (has(head, 0, 'QFI\xfb')) {
    // Version 1 is the older qcow, another format under the same magic.
    const version = head[7]
    const isOld = head[4] === 0 && head[5] === 0 && head[6] === 0 && version === 1
    return isOld ? { kind: 'foreign', name: 'a qcow disk of version 1', asRaw: false } : { kind: 'qcow2' }
  }
  const magic = magics.find(({ offset, bytes }) => has(head, offset, bytes))
  if (magic) return { kind: 'foreign', name: magic.name, asRaw: magic.asRaw ?? false }
  const trailer = trailers.find(({ bytes }) => has(tail, tail.length - 512, bytes))
  if (trailer) return { kind: 'foreign', name: trailer.name, asRaw: false }
  if (/^\s*<(?:!doctype|html|\?xml)/i.test(latin1(head.subarray(0, 256)))) {
    return { kind: 'foreign', name: 'a web page or XML text', asRaw: false }
  }
  const isDisk = has(head, 510, '\x55\xaa') || has(head, 512, 'EFI PART') || has(head, 4096, 'EFI PART')
  return { kind: isDisk ? 'disk' : 'unknown' }
}

function has(data: Uint8Array, offset: number, bytes: string): boolean {
  if (offset < 0 || data.length < offset + bytes.length) return false
  for (let i = 0; i < bytes.length; i++) if (data[offset + i] !== bytes.charCodeAt(i)) return false
  return true
}

function latin1(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1')
}
