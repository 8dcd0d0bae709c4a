/**
 * Whether one resourceVersion of a kind is older than another. Kubernetes promises that they compare as decimal numbers
 * of any length (KEP-5504). Where one is absent or no such number nothing is known: false.
 */
export function isOlder(version: string | undefined, than: string | undefined): boolean {
  if (!isNumber(version) || !isNumber(than)) return false
  return version.length === than.length ? version < than : version.length < than.length
}

const isNumber = (version: string | undefined): version is string => version !== undefined && /^[1-9]\d*$/.test(version)
