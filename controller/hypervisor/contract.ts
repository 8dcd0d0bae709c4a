/**
 * The contract of hypervisor drivers as tests: what every driver has to do, whatever is behind it. A test file calls
 * {@link describeDriverContract} with a real host, or a fake.
 */
import { afterAll, beforeAll, describe } from '@jest/globals'
import type { Lacks } from './contract/abilities.ts'
import { Bench } from './contract/bench.ts'
import { describeContract } from './contract/parts.ts'
import { JestRegister } from './contract/register.ts'
import type { DriverSetup, DriverWorld } from './contract/world.ts'

export type { Lacks } from './contract/abilities.ts'
export { damagedMarker } from './contract/content.ts'
export type { DriverSetup, DriverWorld, MarkerDamage } from './contract/world.ts'

/**
 * Describes the whole contract. `setup` is called once, its world's `tearDown` at the end.
 *
 * @param host - What is tested, as the page of the docs names it: a driver with what is behind it.
 * @param lacks - What the host cannot do, and why: those parts are excluded.
 */
export function describeDriverContract(host: string, setup: DriverSetup, lacks: Lacks = {}): void {
  describe(`hypervisor port: ${host}`, () => {
    let world: DriverWorld | undefined
    const register = new JestRegister(host, lacks)
    const bench = new Bench(lacks, register)
    beforeAll(async () => {
      world = await setup()
      await bench.open(world)
    }, 60_000)
    afterAll(async () => {
      register.write()
      await bench.close()
      await world?.tearDown()
    }, 60_000)

    describeContract(bench)
  })
}
