/** A thread in which the controller is a mutant: its code is changed while it is loaded, and nothing on the disk. */
import { registerHooks } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { RunResult } from '../run.ts'
import type { WorldOptions } from '../world/world.ts'
import { mutants } from './all.ts'
import type { Patch } from './mutant.ts'

export interface MutantTask {
  readonly mutant: string
  readonly workload: string
  readonly reference: RunResult
  readonly options: WorldOptions
}

const { mutant: name, workload: workloadName, reference, options } = workerData as MutantTask
const mutant = mutants.find((candidate) => candidate.name === name)
if (!mutant) throw new Error(`there is no mutant ${name}`)
const patches = new Map(mutant.patches.map((patch) => [patch, new URL(`../../../${patch.file}`, import.meta.url).href]))
const applied = new Set<Patch>()

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    let source = String(loaded.source)
    for (const [patch, target] of patches) {
      if (target !== url) continue
      const parts = source.split(patch.from)
      if (parts.length !== 2) throw new Error(`mutant ${name}: ${patch.file} has not once what is to be changed`)
      source = parts.join(patch.to)
      applied.add(patch)
    }
    return applied.size === 0 ? loaded : { ...loaded, source }
  },
})

const { tryFaults } = await import('../crash.ts')
const { workloads } = await import('../workloads/all.ts')
if (applied.size !== mutant.patches.length)
  throw new Error(`mutant ${name}: a file that is to be changed was not loaded`)
const workload = workloads.find((candidate) => candidate.name === workloadName)
if (!workload) throw new Error(`there is no workload ${workloadName}`)
const { problems } = await tryFaults(workload, reference, options)
parentPort?.postMessage(problems)
