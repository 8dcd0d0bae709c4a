/** Which address of a range is tried, and which after it. Pure. */
import { createHash } from 'node:crypto'
import type { IPAddress } from '../../api/index.ts'
import { addressAt, isForNobody, type Ranges } from './ranges.ts'

/**
 * Every address that can be given, once, in an order that `who` decides: a machine that is made anew under its name
 * tries the one that it had, and two machines seldom begin with the same. The order leaps instead of counting on, so
 * that those who meet part again at once, however full the ranges are.
 */
export function* candidates(ranges: Ranges, who: string): Generator<IPAddress> {
  const { size } = ranges
  if (size === 0) return
  const hash = createHash('sha256').update(who).digest()
  const start = hash.readUInt32BE(0) % size
  const leap = leapOf(hash.readUInt32BE(4), size)
  for (let step = 0; step < size; step++) {
    const address = addressAt(ranges, (start + step * leap) % size)
    if (!isForNobody(ranges, address)) yield address
  }
}

/** Without a divisor in common with the size it comes by every place. */
function leapOf(wanted: number, size: number): number {
  let leap = 1 + (wanted % size)
  while (divisor(leap, size) !== 1) leap++
  return leap
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))
