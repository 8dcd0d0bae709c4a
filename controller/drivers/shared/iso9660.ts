/**
 * Writes small ISO 9660 images with one directory, under two more names: Rock Ridge (Unix) and Joliet (Windows).
 * Sources: ECMA-119, SUSP 1.12 and RRIP 1.12 (IEEE P1281, P1282), the Joliet Specification of 1995.
 */

const sectorSize = 2048
/** Where everything lies: descriptors from sector 16 on, two path tables for each of the two directories. */
const sectors = { descriptors: 16, pathTables: 19, directory: 23, joliet: 24, files: 25 }
/**
 * Sectors of zeros after the end, as mkisofs writes them: BusyBox's findfs reads 34 sectors at once and takes a shorter
 * device for none, and Linux reads ahead on CD-ROMs.
 */
const padding = 150
/** 2000-01-01 00:00 UTC everywhere: equal files give equal images. */
const recordedAt = [100, 1, 1, 0, 0, 0, 0] as const
const volumeDate = '2000010100000000\0'
const unsetDate = '0000000000000000\0'

const directoryMode = 0o040500
const fileMode = 0o100400

interface Extent {
  readonly sector: number
  readonly length: number
}

interface PlacedFile extends Extent {
  readonly name: string
  readonly data: Buffer
}

/**
 * An image with these files in its root directory, readable by root alone. `label` is what it is found by: at most 16
 * letters. Deterministic. Throws RangeError for names that the three ways of naming could not all tell apart.
 */
export function isoImage(label: string, files: Readonly<Record<string, string>>): Buffer {
  if (!/^[A-Za-z0-9-]{1,16}$/.test(label)) throw new RangeError(`'${label}' cannot be the label of an ISO 9660 image`)
  const placed = place(files)
  const end = placed.reduce((sector, file) => Math.max(sector, file.sector + sectorsOf(file.length)), sectors.files)
  const image = Buffer.alloc((end + padding) * sectorSize)
  const at = (sector: number) => sector * sectorSize

  image.set(volumeDescriptor(1, label, end, sectors.pathTables, sectors.directory), at(sectors.descriptors))
  image.set(volumeDescriptor(2, label, end, sectors.pathTables + 2, sectors.joliet), at(sectors.descriptors + 1))
  image.set(Buffer.from([255, ...Buffer.from('CD001'), 1]), at(sectors.descriptors + 2))
  for (const [index, root] of [sectors.directory, sectors.joliet].entries()) {
    image.set(pathTable(root, 'little'), at(sectors.pathTables + 2 * index))
    image.set(pathTable(root, 'big'), at(sectors.pathTables + 2 * index + 1))
  }
  image.set(directory(rockRidgeRecords(placed)), at(sectors.directory))
  image.set(directory(jolietRecords(placed)), at(sectors.joliet))
  for (const file of placed) image.set(file.data, at(file.sector))
  return image
}

function place(files: Readonly<Record<string, string>>): PlacedFile[] {
  let sector: number = sectors.files
  // By name: directories are sorted, and the order of an object's keys must not matter.
  return Object.keys(files)
    .sort()
    .map((name) => {
      if (!/^[a-z0-9-]{1,27}$/.test(name)) throw new RangeError(`'${name}' cannot be a file name in a seed`)
      const data = Buffer.from(files[name] ?? '', 'utf8')
      const file = { name, data, sector, length: data.length }
      sector += sectorsOf(data.length)
      return file
    })
}

const sectorsOf = (length: number) => Math.ceil(length / sectorSize)

/** A number in both byte orders, as ECMA-119 has most of its own. */
function both32(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeUInt32LE(value, 0)
  buffer.writeUInt32BE(value, 4)
  return buffer
}

function both16(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt16LE(value, 0)
  buffer.writeUInt16BE(value, 2)
  return buffer
}

/** Joliet's characters are of two bytes, the more significant first. */
const ucs2 = (text: string) => Buffer.from(text, 'utf16le').swap16()

/** Descriptor of the volume by its primary (1) or its Joliet (2) directory; ECMA-119 §8.4, §8.5. */
function volumeDescriptor(type: 1 | 2, label: string, size: number, pathTables: number, root: number): Buffer {
  const text = (value: string, length: number) => {
    const characters = type === 1 ? value.padEnd(length) : value.padEnd(length / 2)
    return type === 1 ? Buffer.from(characters, 'latin1') : ucs2(characters).subarray(0, length)
  }
  const buffer = Buffer.alloc(sectorSize)
  buffer[0] = type
  buffer.write('CD001\u0001', 1, 'latin1')
  buffer.set(text('', 32), 8)
  buffer.set(text(label, 32), 40)
  buffer.set(both32(size), 80)
  // Escape sequence of Joliet level 3.
  if (type === 2) buffer.write('%/E', 88, 'latin1')
  buffer.set(both16(1), 120)
  buffer.set(both16(1), 124)
  buffer.set(both16(sectorSize), 128)
  buffer.set(both32(10), 132)
  buffer.writeUInt32LE(pathTables, 140)
  buffer.writeUInt32BE(pathTables + 1, 148)
  buffer.set(record(Buffer.from([0]), { sector: root, length: sectorSize }, true), 156)
  // Identifiers of volume set, publisher, preparer and application, then three file names: none.
  for (const [offset, length] of [
    [190, 128],
    [318, 128],
    [446, 128],
    [574, 128],
  ] as const) {
    buffer.set(text('', length), offset)
  }
  for (const offset of [702, 739, 776]) buffer.set(text('', 36), offset)
  buffer.write(volumeDate + volumeDate + unsetDate + unsetDate, 813, 'latin1')
  buffer[881] = 1
  return buffer
}

function pathTable(root: number, order: 'little' | 'big'): Buffer {
  const buffer = Buffer.alloc(10)
  buffer[0] = 1
  if (order === 'little') {
    buffer.writeUInt32LE(root, 2)
    buffer.writeUInt16LE(1, 6)
  } else {
    buffer.writeUInt32BE(root, 2)
    buffer.writeUInt16BE(1, 6)
  }
  return buffer
}

/** A directory record, ECMA-119 §9.1, with `systemUse` (Rock Ridge) after the name. */
function record(identifier: Buffer, extent: Extent, isDirectory: boolean, systemUse: Buffer = Buffer.alloc(0)): Buffer {
  const padding = identifier.length % 2 === 0 ? 1 : 0
  const fixed = Buffer.from([
    0,
    0,
    ...both32(extent.sector),
    ...both32(extent.length),
    ...recordedAt,
    isDirectory ? 2 : 0,
    0,
    0,
    ...both16(1),
    identifier.length,
  ])
  const whole = Buffer.concat([fixed, identifier, Buffer.alloc(padding), systemUse])
  const even = Buffer.concat([whole, Buffer.alloc(whole.length % 2)])
  even[0] = even.length
  return even
}

function directory(records: readonly Buffer[]): Buffer {
  const whole = Buffer.concat(records)
  if (whole.length > sectorSize) throw new RangeError('too many files for a seed')
  return whole
}

/** Entry of the system use area: two letters, length, version 1. */
function susp(signature: string, data: readonly number[] | Buffer): Buffer {
  return Buffer.from([...Buffer.from(signature, 'latin1'), data.length + 4, 1, ...data])
}

function posix(mode: number, links: number): Buffer {
  return susp('PX', Buffer.concat([both32(mode), both32(links), both32(0), both32(0)]))
}

function rockRidgeRecords(files: readonly PlacedFile[]): Buffer[] {
  const root = { sector: sectors.directory, length: sectorSize }
  const extension = 'RRIP_1991A'
  const announcement = Buffer.concat([
    susp('SP', [0xbe, 0xef, 0]),
    susp('ER', [extension.length, 0, 0, 1, ...Buffer.from(extension, 'latin1')]),
    posix(directoryMode, 2),
  ])
  return [
    record(Buffer.from([0]), root, true, announcement),
    record(Buffer.from([1]), root, true, posix(directoryMode, 2)),
    ...files.map((file) =>
      record(
        Buffer.from(`${file.name.toUpperCase().replaceAll('-', '_')}.;1`, 'latin1'),
        file,
        false,
        Buffer.concat([posix(fileMode, 1), susp('NM', [0, ...Buffer.from(file.name, 'latin1')])]),
      ),
    ),
  ]
}

function jolietRecords(files: readonly PlacedFile[]): Buffer[] {
  const root = { sector: sectors.joliet, length: sectorSize }
  return [
    record(Buffer.from([0]), root, true),
    record(Buffer.from([1]), root, true),
    ...files.map((file) => record(ucs2(file.name), file, false)),
  ]
}
