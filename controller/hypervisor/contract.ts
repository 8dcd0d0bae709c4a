/**
 * The contract of hypervisor drivers as tests: what every driver has to do, whatever is behind it. A test file calls
 * {@link describeDriverContract} with a real host, or a fake.
 */
import { afterAll, beforeAll, describe } from '@jest/globals'
import { describeConnecting } from './contract/connecting.ts'
import { describeForeign } from './contract/foreign.ts'
import { describeImages } from './contract/images.ts'
import { describeMachines } from './contract/machines.ts'
import { describeParking } from './contract/parking.ts'
import { describeStorage } from './contract/storage.ts'
import { Bench, type DriverSetup, type DriverWorld } from './contract/world.ts'

export type { DriverSetup, DriverWorld } from './contract/world.ts'

/** Describes the whole contract. `setup` is called once, its world's `tearDown` at the end. */
export function describeDriverContract(name: string, setup: DriverSetup): void {
  describe(`hypervisor port: ${name}`, () => {
    let world: DriverWorld | undefined
    const bench = new Bench()
    beforeAll(async () => {
      world = await setup()
      await bench.open(world)
    }, 60_000)
    afterAll(async () => {
      await bench.close()
      await world?.tearDown()
    }, 60_000)

    describeMachines(bench)
    describeParking(bench)
    describeForeign(bench)
    describeImages(bench)
    describeStorage(bench)
    describeConnecting(bench)
  })
}
