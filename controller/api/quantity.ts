/** Amounts of bytes, as the API writes them (`2Gi`) and as programs count them. */

const multipliers: Readonly<Record<string, bigint>> = {
  '': 1n,
  k: 10n ** 3n,
  M: 10n ** 6n,
  G: 10n ** 9n,
  T: 10n ** 12n,
  P: 10n ** 15n,
  Ki: 1n << 10n,
  Mi: 1n << 20n,
  Gi: 1n << 30n,
  Ti: 1n << 40n,
  Pi: 1n << 50n,
}

const quantityPattern = /^([0-9]+)(?:[.]([0-9]+))?(k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$/

/**
 * Bytes of a quantity. Fractions of a byte are rounded up, as Kubernetes does.
 * @throws RangeError where it is no quantity of bytes, or more than a safe integer holds. Schemas refuse both.
 */
export function parseBytes(quantity: string): number {
  const match = quantityPattern.exec(quantity)
  const multiplier = multipliers[match?.[3] ?? '']
  if (match === null || multiplier === undefined) throw new RangeError(`not an amount of bytes: ${quantity}`)
  const fraction = match[2] ?? ''
  const scale = 10n ** BigInt(fraction.length)
  const bytes = (BigInt(`${match[1]}${fraction}`) * multiplier + scale - 1n) / scale
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`too many bytes: ${quantity}`)
  return Number(bytes)
}

/** Binary first: it wins where a decimal suffix is as short. */
const suffixes = ['Pi', 'Ti', 'Gi', 'Mi', 'Ki', 'P', 'T', 'G', 'M', 'k'] as const

/**
 * The shortest quantity of exactly so many bytes: 2147483648 is `2Gi`, 15000000000 is `15G`.
 * @throws RangeError where `bytes` is no safe integer, or negative.
 */
export function formatBytes(bytes: number): string {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError(`not an amount of bytes: ${bytes}`)
  let shortest = `${bytes}`
  for (const suffix of suffixes) {
    const multiplier = Number(multipliers[suffix])
    const quantity = `${bytes / multiplier}${suffix}`
    if (bytes !== 0 && bytes % multiplier === 0 && quantity.length < shortest.length) shortest = quantity
  }
  return shortest
}
