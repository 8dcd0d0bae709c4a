/** Whether the suite would find the wrong shortcuts that it is there for. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { learn } from '../crash.ts'
import { workloads } from '../workloads/all.ts'
import type { Fault, WorldOptions } from '../world/world.ts'
import type { Mutant } from './mutant.ts'
import type { MutantTask } from './worker.ts'

export interface MutantReport {
  readonly mutant: string
  readonly problems: readonly string[]
  readonly found: boolean
}

export async function tryMutant(mutant: Mutant): Promise<MutantReport> {
  const { name, foundBy, symptom } = mutant
  const workload = workloads.find((candidate) => candidate.name === foundBy.workload)
  if (!workload) throw new Error(`mutant ${name}: there is no workload ${foundBy.workload}`)
  const candidates = foundBy.stopFor === undefined ? {} : { candidates: 2 }
  const reference = await learn(workload, candidates)
  const options: WorldOptions = { ...candidates, faults: faultsOf(mutant, reference.effects) }
  const workerData: MutantTask = { mutant: name, workload: workload.name, reference, options }
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData })
  try {
    const [problems] = (await once(worker, 'message')) as [string[]]
    return { mutant: name, problems, found: problems.some((problem) => problem.includes(symptom)) }
  } finally {
    await worker.terminate()
  }
}

function faultsOf({ name, foundBy }: Mutant, effects: readonly { verb: string; number: number }[]): Fault[] {
  const { effect, position = 'after-effect', stopFor } = foundBy
  if (effect === undefined) return []
  const number = effects.find(({ verb }) => verb.startsWith(effect))?.number
  if (number === undefined) throw new Error(`mutant ${name}: workload ${foundBy.workload} has no effect ${effect}`)
  return [{ effect: number, position, ...(stopFor === undefined ? {} : { stopFor }) }]
}
