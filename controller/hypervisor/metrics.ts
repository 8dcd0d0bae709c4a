import { Counter, Histogram, type Registry } from 'prom-client'
import type { ObservedCall } from './wrap.ts'

/** Calls to hypervisors by method and outcome (a code of the error table, or Success); never by machine. */
export class HypervisorMetrics {
  readonly #calls: Counter<'hypervisor' | 'method' | 'outcome'>
  readonly #seconds: Histogram<'hypervisor' | 'method'>

  constructor(registry: Registry) {
    this.#calls = new Counter({
      name: 'berth_hypervisor_calls_total',
      help: 'Calls to hypervisors, by method and outcome.',
      labelNames: ['hypervisor', 'method', 'outcome'],
      registers: [registry],
    })
    this.#seconds = new Histogram({
      name: 'berth_hypervisor_call_seconds',
      help: 'How long calls to hypervisors took.',
      labelNames: ['hypervisor', 'method'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
      registers: [registry],
    })
  }

  record(hypervisor: string, { method, seconds, outcome }: ObservedCall): void {
    this.#calls.inc({ hypervisor, method, outcome })
    this.#seconds.observe({ hypervisor, method }, seconds)
  }
}
