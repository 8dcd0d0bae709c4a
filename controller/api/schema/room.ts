/** Up to which CPUs and memory can be changed while a machine runs: fields and rules of who names cpus and memory. */
import { bytes, mostCpus } from './amounts.ts'
import { integer, optional } from './base.ts'
import { rule } from './cel.ts'

export const room = {
  maxCpus: optional(integer('CPUs up to which it can grow while it runs. Absent: cpus.', { min: 1, max: mostCpus })),
  maxMemory: optional(bytes('Memory up to which it can grow while it runs. Absent: memory.')),
}

export const roomRules = [
  rule('!has(self.maxCpus) || self.maxCpus >= self.cpus', 'maxCpus must not be less than cpus', '.maxCpus'),
  rule(
    '!has(self.maxMemory) || quantity(self.maxMemory).compareTo(quantity(self.memory)) >= 0',
    'maxMemory must not be less than memory',
    '.maxMemory',
  ),
]
