import type { Bench } from './bench.ts'
import { describeConnecting } from './connecting.ts'
import { describeDiskChanges } from './disk-changes.ts'
import { describeDisks } from './disks.ts'
import { describeForeign } from './foreign.ts'
import { describeImages } from './images.ts'
import { describeInterfaceChanges } from './interface-changes.ts'
import { describeMachines } from './machines.ts'
import { describeParking } from './parking.ts'
import { describePausing } from './pausing.ts'
import { describeReleasing } from './releasing.ts'
import { describeResizing } from './resizing.ts'
import { describeStorage } from './storage.ts'
import { describeSuspending } from './suspending.ts'
import { describeWaiting } from './waiting.ts'

/** All parts of the contract. The last one ends the bench's own session and opens another. */
export function describeContract(bench: Bench): void {
  describeMachines(bench)
  describeParking(bench)
  describePausing(bench)
  describeSuspending(bench)
  describeResizing(bench)
  describeInterfaceChanges(bench)
  describeForeign(bench)
  describeReleasing(bench)
  describeImages(bench)
  describeDisks(bench)
  describeDiskChanges(bench)
  describeStorage(bench)
  describeWaiting(bench)
  describeConnecting(bench)
}
