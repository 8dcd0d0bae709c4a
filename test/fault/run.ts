/** One run of a workload: from its beginning, through its faults, to ten minutes of silence. */
import type { Workload } from './workloads/workload.ts'
import type { Effect } from './world/effects.ts'
import { snapshot } from './world/snapshot.ts'
import { type Fault, World, type WorldOptions } from './world/world.ts'

export interface RunResult {
  readonly effects: readonly Effect[]
  /** Both sides, without what differs from run to run by right (times, versions). */
  readonly end: Readonly<Record<string, unknown>>
  readonly problems: readonly string[]
  /** All that was waited for has come, and silence after it. */
  readonly finished: boolean
  /** Those that came: one whose effect was not reached did not. */
  readonly faultsCame: readonly Fault[]
  /** Virtual time from the beginning to the last effect, ms. */
  readonly took: number
}

/** A step is given so long, ms of virtual time: faults, restarts and the T rule included. */
const patience = 30 * 60_000
/** So long nothing may be written, ms (design: quiet when nothing changes). */
const quiet = 10 * 60_000
/** Steps look at the world after each effect, and beside that so often, ms. */
const shortestTick = 100
const longestTick = 5_000

export async function run(workload: Workload, options: WorldOptions = {}): Promise<RunResult> {
  const world = new World(options)
  const problems: string[] = []
  try {
    if (workload.watchLag !== undefined) world.api.watchLag = workload.watchLag
    workload.furnish(world)
    world.start()
    await until(world, workload.furnished, 'what was there is ready')
    world.effects.counting = true
    const began = world.clock.monotonic()
    const killing = world.killAgainAndAgain()
    await tell(world, workload)
    await until(world, ({ clock }) => clock.monotonic() - began >= killing, 'the last kill')
    await silence(world)
    const last = world.effects.list.at(-1)
    problems.push(...(await startsInSilence(world)))
    return result(world, problems, { finished: true, took: (last?.at ?? began) - began })
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
    return result(world, problems, { finished: false, took: 0 })
  } finally {
    world.end()
  }
}

function result(world: World, problems: readonly string[], outcome: Pick<RunResult, 'finished' | 'took'>): RunResult {
  return {
    effects: world.effects.list,
    end: snapshot(world),
    problems: [...problems, ...world.safety.violations],
    faultsCame: world.came,
    ...outcome,
  }
}

/** The steps, each as soon as what it waits for is there, in the middle of effects too. */
async function tell(world: World, { steps }: Workload): Promise<void> {
  let next = 0
  const goOn = () => {
    for (let step = steps[next]; step?.until(world); step = steps[next]) {
      next++
      step.act?.(world)
    }
  }
  world.onEffect = goOn
  const finished = () => {
    goOn()
    return next === steps.length
  }
  while (next < steps.length) {
    const step = steps[next]
    await until(world, () => finished() || steps[next] !== step, step?.what ?? '')
  }
}

async function until(world: World, met: (world: World) => boolean, what: string): Promise<void> {
  const end = world.clock.monotonic() + patience
  for (let tick = shortestTick; !met(world); tick = Math.min(tick * 1.5, longestTick)) {
    if (world.clock.monotonic() > end) throw new Error(`never reached: ${what}`)
    await world.clock.advance(tick)
  }
}

/** A process that starts where there is nothing to do writes nothing, however often it starts. */
async function startsInSilence(world: World): Promise<string[]> {
  const before = world.effects.list.length
  world.kill(world.life)
  await world.clock.advance(10_000)
  await world.clock.advance(world.killAgainAndAgain() + 60_000)
  const written = world.effects.list.slice(before)
  world.effects.list.length = before
  return written.map(({ verb, target }) => `a start where there is nothing to do writes: ${verb} ${target}`)
}

async function silence(world: World): Promise<void> {
  const end = world.clock.monotonic() + patience
  let told = 0
  let since = world.clock.monotonic()
  while (world.clock.monotonic() - since < quiet) {
    if (world.clock.monotonic() > end) throw new Error('it does not fall silent')
    await world.clock.advance(10_000)
    const now = world.effects.list.length + world.events.length
    if (now !== told) since = world.clock.monotonic()
    told = now
  }
}
