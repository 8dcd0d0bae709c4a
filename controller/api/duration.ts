/** Durations, as the API writes them: Go's, with units ms, s, m and h. */

const millisecondsOf: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

const durationPattern = /^(?:[0-9]+(?:[.][0-9]+)?(?:ms|s|m|h))+$/

/**
 * Milliseconds of a duration (`90s`, `1h30m`), rounded to whole ones.
 * @throws RangeError where it is none. Schemas refuse that.
 */
export function parseDuration(duration: string): number {
  if (!durationPattern.test(duration)) throw new RangeError(`not a duration: ${duration}`)
  let milliseconds = 0
  for (const [, amount, unit] of duration.matchAll(/([0-9]+(?:[.][0-9]+)?)(ms|s|m|h)/g)) {
    milliseconds += Number(amount) * (millisecondsOf[unit ?? ''] ?? Number.NaN)
  }
  const rounded = Math.round(milliseconds)
  if (!Number.isSafeInteger(rounded)) throw new RangeError(`too long a duration: ${duration}`)
  return rounded
}
