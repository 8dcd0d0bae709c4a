/**
 * One host of many hangs (design §6): the machines of the others are made as fast as if it did not. Time is virtual and
 * calls take time, so that a wait for the hung host would show. That it is marked as away is its driver's pulse: see
 * proxied/hosts.test.ts, and the tests of the XAPI driver.
 */
import { expect, test } from '@jest/globals'
import { virtualMachines } from '../../controller/api/index.ts'
import { FakeHypervisor, fakeDriver } from '../../controller/drivers/fake/index.ts'
import { aHypervisor, aMachine, aNetwork, anImage, aPool, aSize, namespace } from './world/objects.ts'
import { World } from './world/world.ts'

const names = Array.from({ length: 10 }, (_, index) => `host${index}`)
const hung = 'host3'
const others = names.filter((name) => name !== hung)
const step = 10
const GiB = 2 ** 30

/** Ten hosts with a machine on each, all quiet. */
async function start() {
  const hosts = new Map<string, FakeHypervisor>()
  const world = new World({ driver: fakeDriver(hosts), workers: 16 })
  for (const name of names) {
    const latencies = { default: { toHost: 5, atHost: 20, toCaller: 5 } }
    const options = { clock: world.clock, hostName: name, latencies, guests: { bootTime: 500 }, networks: ['default'] }
    hosts.set(`fake://${name}`, new FakeHypervisor({ ...options, pools: { default: 100 * GiB } }))
  }
  world.create(aSize(), aNetwork(), anImage())
  for (const name of names) world.create(aHypervisor(name, 4), aPool(`${name}-default`, name))
  world.start()
  const on = (name: string) => ({ placement: { slotSelector: { matchLabels: { 'berth.dev/hypervisor': name } } } })
  const isReady = (name: string) =>
    world.api
      .find(virtualMachines, { namespace, name })
      ?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
  const until = async (met: () => boolean, most: number): Promise<number> => {
    const from = world.clock.monotonic()
    while (!met()) {
      if (world.clock.monotonic() - from > most) throw new Error(`not within ${most} ms`)
      await world.clock.advance(step)
    }
    return world.clock.monotonic() - from
  }
  /** New machines, one on each host; how long each took until it ran, ms. */
  const make = async (prefix: string, where: readonly string[]): Promise<Map<string, number>> => {
    const took = new Map<string, number>()
    const from = world.clock.monotonic()
    for (const name of where) world.create(aMachine(`${prefix}-${name}`, on(name)))
    await until(() => {
      for (const name of where) {
        if (!took.has(name) && isReady(`${prefix}-${name}`)) took.set(name, world.clock.monotonic() - from)
      }
      return took.size === where.length
    }, 10 * 60_000)
    return took
  }
  await make('first', names)
  await world.clock.advance(60_000)
  return { world, host: hosts.get(`fake://${hung}`) as FakeHypervisor, make, until, on, isReady }
}

test('a host hangs, with work waiting for it: the machines of the others are made as fast as before', async () => {
  const healthy = await start()
  const reference = await healthy.make('second', others)
  healthy.world.end()

  const { world, host, make, until, on, isReady } = await start()
  host.hang()
  for (let index = 0; index < 3; index++) world.create(aMachine(`stuck-${index}`, on(hung)))
  await world.clock.advance(100)
  const took = await make('second', others)
  for (const name of others) {
    expect([name, took.get(name)]).toEqual([name, expect.any(Number)])
    expect((took.get(name) ?? 0) - (reference.get(name) ?? 0)).toBeLessThanOrEqual(100)
  }
  // The work that waits for the host is done when it answers again.
  host.resume()
  await until(() => [0, 1, 2].every((index) => isReady(`stuck-${index}`)), 10 * 60_000)
  world.end()
}, 60_000)
