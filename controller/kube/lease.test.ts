import { beforeEach, describe, expect, test } from '@jest/globals'
import { BerthError } from '../errors/index.ts'
import { LeaderElector, type LeaseOptions } from './lease.ts'
import type { ReadObject } from './port.ts'
import type { Lease } from './resources.ts'
import { VirtualClock } from './testing/clock.ts'
import { quiet } from './testing/fake-api.ts'

/** The API server's view of one Lease: compare-and-swap, and nothing more. */
class FakeLeases {
  lease: ReadObject<Lease> | undefined
  down = false
  hang = false
  writes = 0
  #version = 0

  readonly client = {
    get: async () => {
      await this.#reach()
      return this.lease
    },
    create: async (_resource: unknown, object: Lease) => {
      await this.#reach()
      if (this.lease !== undefined) throw new BerthError('Conflict', 'exists')
      return this.#store(object)
    },
    replace: async (_resource: unknown, object: ReadObject<Lease>) => {
      await this.#reach()
      if (this.lease?.metadata.resourceVersion !== object.metadata.resourceVersion) {
        throw new BerthError('Conflict', 'changed')
      }
      return this.#store(object)
    },
  } as unknown as LeaseOptions['client']

  async #reach(): Promise<void> {
    if (this.down) throw new BerthError('APIUnavailable', 'down')
    if (this.hang) await new Promise(() => {})
  }

  #store(object: Lease): ReadObject<Lease> {
    this.writes++
    this.lease = {
      ...object,
      metadata: { ...object.metadata, uid: 'lease', resourceVersion: String(++this.#version) },
    }
    return this.lease
  }
}

let server: FakeLeases
beforeEach(() => {
  server = new FakeLeases()
})

interface Candidate {
  readonly elector: LeaderElector
  readonly clock: VirtualClock
  readonly lost: BerthError[]
  readonly stop: AbortController
  leads: boolean
}

function candidate(identity: string, clock: VirtualClock, options: Partial<LeaseOptions> = {}): Candidate {
  const lost: BerthError[] = []
  const stop = new AbortController()
  const elector = new LeaderElector({
    client: server.client,
    clock,
    log: quiet,
    namespace: 'berth-system',
    name: 'berth',
    identity,
    random: () => 0,
    ...options,
  })
  elector.lost.addEventListener('abort', () => lost.push(elector.lost.reason))
  const made: Candidate = { elector, clock, lost, stop, leads: false }
  void elector.acquire(stop.signal).then((won) => {
    made.leads = won
  })
  return made
}

const mayWrite = ({ elector }: Candidate): boolean => {
  try {
    elector.guard.check()
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'NotLeader' })
    return false
  }
}

test('durations that cannot be safe are refused', () => {
  const options = { leaseDuration: 10_000, renewDeadline: 10_000 }
  expect(() => candidate('a', new VirtualClock(), options)).toThrow(/leaseDuration > renewDeadline/)
})

describe('one clock', () => {
  let clock: VirtualClock
  beforeEach(() => {
    clock = new VirtualClock()
  })

  test('the first takes it, the second waits, for as long as the first renews', async () => {
    const a = candidate('a', clock)
    await clock.advance(0)
    const b = candidate('b', clock)
    for (let second = 0; second < 120; second++) {
      await clock.advance(1_000)
      expect([mayWrite(a), mayWrite(b)]).toEqual([true, false])
    }
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 })
  })

  test('both at once: one gets it', async () => {
    const both = [candidate('a', clock), candidate('b', clock)]
    await clock.advance(10_000)
    expect(both.filter(mayWrite)).toHaveLength(1)
  })

  test('released: the other has it at its next look, and the first may write no more', async () => {
    const a = candidate('a', clock)
    await clock.advance(0)
    const b = candidate('b', clock)
    await clock.advance(3_000)
    await a.elector.release()
    expect(mayWrite(a)).toBe(false)
    await clock.advance(2_000)
    expect(b.leads).toBe(true)
    expect(mayWrite(b)).toBe(true)
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 })
    expect(a.lost).toEqual([])
  })

  test('the API server is away for less than renewDeadline: nothing happens', async () => {
    const a = candidate('a', clock)
    await clock.advance(0)
    server.down = true
    await clock.advance(7_000)
    server.down = false
    await clock.advance(2_000)
    expect(mayWrite(a)).toBe(true)
    await clock.advance(60_000)
    expect(mayWrite(a)).toBe(true)
    expect(a.lost).toEqual([])
  })

  test('… for longer: lost at renewDeadline after the start of the last renewal, told once, and for good', async () => {
    const a = candidate('a', clock)
    await clock.advance(0)
    server.down = true
    await clock.advance(9_999)
    expect(mayWrite(a)).toBe(true)
    await clock.advance(1)
    expect(mayWrite(a)).toBe(false)
    expect(a.lost).toHaveLength(1)
    server.down = false
    await clock.advance(60_000)
    expect(mayWrite(a)).toBe(false)
    expect(a.lost).toHaveLength(1)
  })

  test('a renewal that hangs keeps neither the guard open nor the loss a secret', async () => {
    const a = candidate('a', clock)
    await clock.advance(0)
    server.hang = true
    await clock.advance(10_000)
    expect(a.lost).toHaveLength(1)
    expect(mayWrite(a)).toBe(false)
  })

  test('the deadline counts from the start of a renewal: its answer may be as old as it was slow', async () => {
    const started = clock.monotonic()
    const slow: LeaseOptions['client'] = {
      ...server.client,
      create: (async (...args: Parameters<LeaseOptions['client']['create']>) => {
        const made = await server.client.create(...args)
        clock.stall(4_000)
        return made
      }) as LeaseOptions['client']['create'],
    }
    const a = candidate('a', clock, { client: slow })
    await clock.advance(0)
    server.down = true
    clock.stall(started + 9_999 - clock.monotonic())
    expect(mayWrite(a)).toBe(true)
    clock.stall(1)
    expect(mayWrite(a)).toBe(false)
  })

  test('someone takes the lease by force: lost at the next renewal', async () => {
    const a = candidate('a', clock)
    await clock.advance(0)
    const lease = server.lease as ReadObject<Lease>
    server.lease = {
      ...lease,
      metadata: { ...lease.metadata, resourceVersion: '99' },
      spec: { ...lease.spec, holderIdentity: 'thief' },
    }
    await clock.advance(2_000)
    expect(mayWrite(a)).toBe(false)
    expect(a.lost).toHaveLength(1)
    expect(server.lease.spec?.holderIdentity).toBe('thief')
  })

  test('another had it meanwhile, and let go again: our term is over all the same', async () => {
    const a = candidate('a', clock)
    await clock.advance(0)
    const lease = server.lease as ReadObject<Lease>
    const { holderIdentity: _, ...spec } = lease.spec ?? {}
    server.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: '99' }, spec }
    await clock.advance(2_000)
    expect(mayWrite(a)).toBe(false)
    expect(a.lost).toHaveLength(1)
  })

  test('the lease is deleted: it is made again, and kept', async () => {
    const a = candidate('a', clock)
    await clock.advance(0)
    server.lease = undefined
    await clock.advance(2_000)
    expect(mayWrite(a)).toBe(true)
    expect(server.lease).toMatchObject({ spec: { holderIdentity: 'a' } })
  })

  test('the lease is deleted, and the leader is cut off: a standby waits, for the leader may write on', async () => {
    let cutOff = false
    const client: LeaseOptions['client'] = {
      ...server.client,
      get: (async (...args: Parameters<LeaseOptions['client']['get']>) => {
        if (cutOff) throw new BerthError('APIUnavailable', 'cut off')
        return server.client.get(...args)
      }) as LeaseOptions['client']['get'],
    }
    const a = candidate('a', clock, { client })
    await clock.advance(0)
    const b = candidate('b', clock)
    await clock.advance(3_000)
    server.lease = undefined
    cutOff = true
    for (let second = 0; second < 20; second++) {
      expect(mayWrite(a) && mayWrite(b)).toBe(false)
      await clock.advance(1_000)
    }
    expect(b.leads).toBe(true)
  })

  test('stopped before it was elected: false, and never a write', async () => {
    server.down = true
    const a = candidate('a', clock)
    await clock.advance(3_000)
    a.stop.abort()
    server.down = false
    await clock.advance(10_000)
    expect(a.leads).toBe(false)
    expect(server.writes).toBe(0)
  })
})

describe('clocks of their own', () => {
  /** Lets the same time pass for everyone, in small steps. */
  async function pass(time: number, ...clocks: VirtualClock[]): Promise<void> {
    for (let step = 0; step < time; step += 500) for (const clock of clocks) await clock.advance(500)
  }

  test('a process that was stopped (SIGSTOP, a frozen host) may write nothing when it wakes, before any timer ran', async () => {
    const [here, there] = [new VirtualClock(), new VirtualClock()]
    const a = candidate('a', here)
    await pass(1_000, here)
    const b = candidate('b', there)
    await pass(4_000, here, there)
    here.stall(20_000)
    await pass(20_000, there)
    expect(b.leads).toBe(true)
    expect(mayWrite(a)).toBe(false)
    expect(a.lost).toHaveLength(1)
    await pass(30_000, here, there)
    expect([mayWrite(a), mayWrite(b)]).toEqual([false, true])
  })

  test('a machine that slept, with its monotonic clock: the leader may write nothing when it wakes', async () => {
    const [here, there] = [new VirtualClock(), new VirtualClock()]
    let slept = 0
    const a = candidate('a', here, { sinceBoot: () => here.monotonic() + slept })
    await pass(1_000, here)
    const b = candidate('b', there)
    await pass(4_000, here, there)
    slept = 20_000
    await pass(20_000, there)
    expect(b.leads).toBe(true)
    expect(mayWrite(a)).toBe(false)
    expect(a.lost).toHaveLength(1)
  })

  test('a machine that slept long ago: its sleep counts once', async () => {
    const here = new VirtualClock()
    const a = candidate('a', here, { sinceBoot: () => here.monotonic() + 3_600_000 })
    await pass(60_000, here)
    expect(mayWrite(a)).toBe(true)
  })

  test.each([
    ['an hour ahead', 3_600_000],
    ['an hour behind', -3_600_000],
  ])(
    'a standby whose wall clock is %s neither takes a living lease nor waits long for a dead one',
    async (_name, by) => {
      const [here, there] = [new VirtualClock(), new VirtualClock()]
      const a = candidate('a', here)
      await pass(1_000, here)
      there.jump(by)
      const b = candidate('b', there)
      await pass(60_000, here, there)
      expect([mayWrite(a), mayWrite(b)]).toEqual([true, false])
      server.down = true
      await pass(1_000, here)
      server.down = false
      // From here on the first is dead.
      await pass(19_000, there)
      expect(b.leads).toBe(true)
    },
  )

  test('the wall clock of the leader jumps: nothing happens', async () => {
    const [here, there] = [new VirtualClock(), new VirtualClock()]
    const a = candidate('a', here)
    await pass(1_000, here)
    const b = candidate('b', there)
    for (const by of [86_400_000, -2 * 86_400_000]) {
      here.jump(by)
      await pass(20_000, here, there)
      expect([mayWrite(a), mayWrite(b)]).toEqual([true, false])
    }
  })

  test('a standby never takes it while the leader may write, wherever the leader dies', async () => {
    for (let death = 500; death <= 6_000; death += 500) {
      server = new FakeLeases()
      const [here, there] = [new VirtualClock(), new VirtualClock()]
      const a = candidate('a', here)
      await pass(500, here)
      const b = candidate('b', there)
      await pass(death, here, there)
      // The leader renews no more, yet lives on.
      for (let time = 0; time < 30_000 && !b.leads; time += 500) {
        here.stall(500)
        await there.advance(500)
        if (b.leads) expect(mayWrite(a)).toBe(false)
      }
      expect(b.leads).toBe(true)
    }
  })
})
