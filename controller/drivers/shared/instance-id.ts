import { BerthError } from '../../errors/index.ts'

/** Upper case is refused, as names of volumes are compared letter by letter. */
export function requireUUID(instanceID: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(instanceID)) return instanceID
  throw new BerthError('InvalidConfiguration', `instanceID '${instanceID}' is not a UUID in lower case.`)
}

/** Beginning of the names of all volumes of an instance. As ids have one length, none begins another. */
export function volumePrefix(instanceID: string): string {
  return `berth-${requireUUID(instanceID)}-`
}

/** The fence of names: whatever else is wrong, nothing but a volume named after the instance is made or deleted. */
export function requireOwnName(instanceID: string, volume: string): void {
  const prefix = volumePrefix(instanceID)
  if (volume.startsWith(prefix) && volume.length > prefix.length && !volume.includes('/')) return
  throw new BerthError('ForeignObject', `Volume '${volume}' is not named after instance ${instanceID}: not touched.`)
}
