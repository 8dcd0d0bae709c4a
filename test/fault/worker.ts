/** A thread that takes one workload after the other. */
import { parentPort } from 'node:worker_threads'
import { explore, type Mode, type Only } from './crash.ts'
import { workloads } from './workloads/all.ts'

export interface Task {
  readonly workload: string
  readonly mode: Mode
  readonly only: Only
}

parentPort?.on('message', async ({ workload, mode, only }: Task) => {
  const found = workloads.find(({ name }) => name === workload)
  if (!found) throw new Error(`there is no workload ${workload}`)
  parentPort?.postMessage(await explore(found, mode, only))
})
