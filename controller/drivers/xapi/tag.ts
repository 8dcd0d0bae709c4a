/** Whose a machine or a disk is, in its `other_config`: the one map that any XAPI object has, set in the call that makes it. */
import { BerthError } from '../../errors/index.ts'
import type { Tag } from '../../hypervisor/port.ts'
import type { StringMap } from './records.ts'

const schema = '1'
const fields = ['cluster', 'namespace', 'name', 'uid', 'instanceID', 'owner', 'slot'] as const

export const keys = {
  schema: 'berth.dev/schema',
  instanceID: 'berth.dev/instanceID',
  /**
   * The object's own UUID, written when it is whole. Copies of it (clones, snapshots) take the key along and have
   * another UUID: so they are known.
   */
  self: 'berth.dev/self',
  /** Name of a volume. */
  volume: 'berth.dev/volume',
  /** Digest and length of what was written to a volume, as it was when the key was written. */
  content: 'berth.dev/content',
  /** Of a VBD: name of the disk. */
  disk: 'berth.dev/disk',
  /** Of a VBD: the machine is not to have it any more. */
  leaving: 'berth.dev/leaving',
  /** Task that copies an image into a volume. */
  task: 'berth.dev/task',
} as const

/** Throws InvalidConfiguration for what XAPI cannot store: it takes what XML can hold. */
export function tagMap(tag: Tag): StringMap {
  const map = Object.fromEntries(fields.map((field) => [`berth.dev/${field}`, tag[field]]))
  for (const [key, value] of Object.entries(map)) {
    if (isStorable(value)) continue
    throw new BerthError('InvalidConfiguration', `XAPI cannot store ${key}: it has characters that XML has not.`)
  }
  return { [keys.schema]: schema, ...map }
}

const isStorable = (text: string): boolean =>
  text.isWellFormed() &&
  [...text].every((character) => {
    const code = character.codePointAt(0) ?? 0
    return code >= 0x20 ? code !== 0xfffe && code !== 0xffff : code === 0x9 || code === 0xa || code === 0xd
  })

export type TagReading = { readonly tag: Tag } | { readonly tag?: undefined; readonly reason: string }

/** Reads a machine's tag. One with a schema that is not ours, or half a tag, is not ours. */
export function readTag(map: StringMap): TagReading {
  const found = map[keys.schema]
  if (found === undefined) return { reason: 'it has no tag of Berth' }
  if (found !== schema) return { reason: `its tag has schema '${found}', which this version does not know` }
  const values = fields.map((field) => [field, map[`berth.dev/${field}`]] as const)
  const missing = values.filter(([, value]) => value === undefined).map(([field]) => field)
  if (missing.length > 0) return { reason: `its tag lacks ${missing.join(', ')}` }
  return { tag: { schema: 1, ...(Object.fromEntries(values) as Omit<Tag, 'schema'>) } }
}
