/** What the figures were measured on, without which they say little. */
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, release, totalmem } from 'node:os'

export interface Machine {
  readonly date: string
  readonly commit: string
  readonly cores: number
  readonly processor: string
  /** GiB */
  readonly memory: number
  readonly kernel: string
  readonly node: string
  /** Processes that ran or waited to, in the minute before, and in the last one. */
  readonly loadBefore: number
  readonly loadAfter: number
}

const load = (): number => loadavg()[0] ?? Number.NaN

/** Call it before; what it answers with, after. */
export function observeMachine(): () => Machine {
  const loadBefore = load()
  return () => ({
    date: new Date().toISOString().slice(0, 10),
    commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    memory: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    loadBefore,
    loadAfter: load(),
  })
}

export const machineText = (machine: Machine): string =>
  `Measured on ${machine.date} at commit ${machine.commit}: ${machine.cores} cores (${machine.processor}), ` +
  `${machine.memory} GiB, Linux ${machine.kernel}, Node ${machine.node}. ` +
  `Load ${machine.loadBefore.toFixed(1)} before and ${machine.loadAfter.toFixed(1)} after; ` +
  'more than 1 before means that others worked on the machine.'
