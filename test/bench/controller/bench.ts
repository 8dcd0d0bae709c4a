/** The controller alone: from 10,000 machines to none of anyone else's time. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchResult, Figure } from '../figures.ts'
import { percentile } from '../figures.ts'
import type { Settled, Took } from './messages.ts'
import { type ControllerProcess, World } from './world.ts'

export interface Scale {
  readonly hosts: number
  readonly machines: number
  /** Of them, made at once. */
  readonly burst: number
  readonly starts: number
  readonly resyncs: number
  /** Machines made one by one while all others are cached. */
  readonly arrivals: number
  /** Between them, ms. */
  readonly every: number
  /** All is done when nothing has happened for so long, ms. */
  readonly quiet: number
}

export const full: Scale = {
  hosts: 50,
  machines: 10_000,
  burst: 1_000,
  starts: 3,
  resyncs: 5,
  arrivals: 200,
  every: 100,
  quiet: 1_000,
}
/** The same with fewer machines, in proportion. */
export const scaled = (machines: number): Scale => {
  const part = (count: number) => Math.max(1, Math.round((count * machines) / full.machines))
  return {
    ...full,
    machines,
    hosts: part(full.hosts),
    burst: part(full.burst),
    arrivals: Math.max(50, part(full.arrivals)),
  }
}

/** So small that it is run with the unit tests, to keep the bench whole. */
export const smoke: Scale = {
  hosts: 2,
  machines: 20,
  burst: 10,
  starts: 1,
  resyncs: 1,
  arrivals: 2,
  every: 20,
  quiet: 50,
}

const MiB = 2 ** 20
/** Machines that are made at once where that is not what is measured. */
const batch = 250

export async function benchController(scale: Scale, tell: (text: string) => void): Promise<BenchResult> {
  const spare = scale.arrivals * 2
  const slotsPerHost = Math.ceil((scale.machines + spare) / scale.hosts)
  const world = await World.start({ hosts: scale.hosts, slotsPerHost })
  const figures: Figure[] = []
  const add = (...added: Figure[]) => {
    for (const figure of added)
      tell(`${figure.what}: ${figure.values.map((value) => value.toPrecision(3)).join(', ')} ${figure.unit}`)
    figures.push(...added)
  }
  let controller = world.startController()
  try {
    await world.furnished()
    add(...(await burst(world, controller, scale)))
    const rest = names('rest', scale.machines - scale.burst)
    for (let made = 0; made < rest.length; made += batch) await make(world, rest.slice(made, made + batch))
    await controller.settle(scale.quiet)
    const starts: Start[] = []
    for (let number = 0; number < scale.starts; number++) {
      await controller.kill()
      const before = countsOf(world)
      controller = world.startController()
      const settled = await controller.settle(3 * scale.quiet)
      starts.push({ settled, ...since(before, countsOf(world)), bare: await controller.time({ name: 'bareList' }) })
    }
    add(...startFigures(starts))
    add(...(await sweeps(controller, scale)))
    add(...(await arrivals(world, controller, scale)))
  } finally {
    await controller.end()
    await world.stop()
  }
  return {
    bench: 'controller',
    title: `The controller, with ${scale.machines.toLocaleString('en-US')} machines on ${scale.hosts} hosts in memory`,
    figures,
  }
}

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

async function make(world: World, machines: readonly string[]): Promise<void> {
  for (const name of machines) world.createMachine(name)
  await world.running(machines)
}

interface Counts {
  readonly writes: number
  readonly calls: number
}

const countsOf = ({ writes, hosts }: World): Counts => ({
  writes: [...writes.values()].reduce((sum, count) => sum + count, 0),
  calls: hosts.calls,
})

const since = (before: Counts, after: Counts): Counts => ({
  writes: after.writes - before.writes,
  calls: after.calls - before.calls,
})

/** Neither Events, nor what tells of many machines at once. */
const own = / (virtualmachines|virtualmachines\/status|slots\/status)$/

async function burst(world: World, controller: ControllerProcess, scale: Scale): Promise<Figure[]> {
  const before = { writes: world.writes, calls: world.hosts.calls, cpu: (await controller.settle(scale.quiet)).cpu }
  const begun = performance.now()
  await make(world, names('burst', scale.burst))
  const took = performance.now() - begun
  const { cpu } = await controller.settle(scale.quiet)
  const writes = [...world.writes]
    .map(([what, count]) => [what, count - (before.writes.get(what) ?? 0)] as const)
    .filter(([, count]) => count > 0)
  const all = writes.reduce((sum, [, count]) => sum + count, 0)
  const bare = await controller.time({ name: 'bareWrites', count: all })
  const perMachine = (count: number) => Number((count / scale.burst).toFixed(3))
  return [
    {
      what: `${scale.burst.toLocaleString('en-US')} machines at once, until all run`,
      unit: 'machines/s',
      values: [(scale.burst / took) * 1000],
      goal: { atLeast: 50 },
      reference: { what: 'as many writes by the client alone', values: [(scale.burst / bare.took) * 1000] },
    },
    {
      what: 'processor time of the controller for each of them',
      unit: 'ms',
      values: [(cpu - before.cpu) / scale.burst],
      reference: { what: 'these writes alone', values: [bare.cpu / scale.burst] },
    },
    {
      what: 'writes of their objects and of their slots, for each',
      unit: '',
      values: [perMachine(writes.reduce((sum, [what, count]) => (own.test(what) ? sum + count : sum), 0))],
      goal: { atMost: 7 },
    },
    ...writes.map(([what, count]) => ({ what: `${what}, for each`, unit: '', values: [perMachine(count)] })),
    { what: 'calls to its host for each of them', unit: '', values: [perMachine(world.hosts.calls - before.calls)] },
  ]
}

interface Start extends Counts {
  readonly settled: Settled
  readonly bare: Took
}

function startFigures(starts: readonly Start[]): Figure[] {
  const memory = (what: keyof Settled['memory']) => starts.map(({ settled }) => settled.memory[what] / MiB)
  return [
    {
      what: 'cold start, from the making of the process to the end of the last pass',
      unit: 's',
      values: starts.map(({ settled }) => settled.since / 1000),
      goal: { atMost: 15 },
      reference: {
        what: 'listing machines and slots by the client alone',
        values: starts.map(({ bare }) => bare.took / 1000),
      },
    },
    {
      what: 'processor time of the controller in it',
      unit: 's',
      values: starts.map(({ settled }) => settled.cpu / 1000),
      reference: { what: 'that listing', values: starts.map(({ bare }) => bare.cpu / 1000) },
    },
    { what: 'writes in it', unit: '', values: starts.map(({ writes }) => writes), goal: { atMost: 0 } },
    { what: 'calls to hosts in it', unit: '', values: starts.map(({ calls }) => calls) },
    {
      what: 'passes over machines in it',
      unit: '',
      values: starts.map(({ settled }) => settled.passes.virtualMachine ?? 0),
    },
    { what: 'resident memory, settled', unit: 'MiB', values: memory('resident'), goal: { atMost: 200 } },
    { what: 'resident memory, at most', unit: 'MiB', values: memory('highest') },
    { what: 'heap in use, settled', unit: 'MiB', values: memory('heap') },
  ]
}

/** Every machine is looked at, and there is nothing to do. */
async function sweeps(controller: ControllerProcess, { machines, resyncs, quiet }: Scale): Promise<Figure[]> {
  const swept: Took[] = []
  const bare: Took[] = []
  for (let number = 0; number < resyncs; number++) {
    await controller.settle(quiet)
    swept.push(await controller.time({ name: 'resync' }))
    bare.push(await controller.time({ name: 'bareQueue', keys: machines }))
  }
  const rates = (all: readonly Took[], time: keyof Took) => all.map((one) => (machines / one[time]) * 1000)
  const reference = (time: keyof Took) => ({ what: 'a reconciler that does nothing', values: rates(bare, time) })
  return [
    {
      what: 'passes with nothing to do',
      unit: '/s',
      values: rates(swept, 'took'),
      goal: { atLeast: 2_000 },
      reference: reference('took'),
    },
    {
      what: 'the same, by processor time of the controller',
      unit: '/s',
      values: rates(swept, 'cpu'),
      reference: reference('cpu'),
    },
  ]
}

/** From an object's making to the first call to its host, and to the first that changes something there. */
async function arrivals(world: World, controller: ControllerProcess, scale: Scale): Promise<Figure[]> {
  const idle = await arrive(world, names('idle', scale.arrivals), scale.every)
  await controller.settle(scale.quiet)
  const swept = controller.time({ name: 'resync' })
  const busy = await arrive(world, names('busy', Math.ceil(scale.arrivals / 10)), scale.every)
  await swept
  const figure = (what: string, times: readonly number[], share: number, atMost?: number): Figure => ({
    what: `${what}, p${share * 100}`,
    unit: 'ms',
    values: [percentile(times, share)],
    ...(atMost === undefined ? {} : { goal: { atMost } }),
  })
  return [
    figure('from a new machine to the first call to its host', idle, 0.5),
    figure('from a new machine to the first call to its host', idle, 0.99, 250),
    figure('the same while all others are looked at', busy, 0.99, 500),
  ]
}

async function arrive(world: World, machines: readonly string[], every: number): Promise<number[]> {
  const begun = new Map<string, number>()
  const times: number[] = []
  world.hosts.onCall = (_method, args) => {
    const id = typeof args[0] === 'string' ? args[0] : ((args[0] as { instanceID?: string })?.instanceID ?? '')
    const at = begun.get(id)
    if (at === undefined) return
    begun.delete(id)
    times.push(performance.now() - at)
  }
  for (const name of machines) {
    const at = performance.now()
    begun.set(world.createMachine(name), at)
    await sleep(every)
  }
  await world.running(machines)
  world.hosts.onCall = () => {}
  return times
}
