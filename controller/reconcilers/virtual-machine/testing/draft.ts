import type { Parts } from './parts.ts'
import type { ApiObject, Call, Configuration, Controller, Faults, Host, State } from './state.ts'

/** Which part of a state is where: objects (machines, then slots), hosts, controllers, calls, faults. */
export class Layout {
  readonly vms: number
  readonly objects: number
  readonly hosts: number
  readonly controllers: number
  readonly firstController: number
  readonly calls: number
  readonly faults: number
  readonly width: number

  constructor({ vms, slots, controllers = 1 }: Configuration) {
    this.vms = vms.length
    this.objects = this.vms + Object.keys(slots).length
    this.hosts = new Set(Object.values(slots)).size
    this.controllers = controllers
    this.firstController = this.objects + this.hosts
    this.calls = this.firstController + controllers
    this.faults = this.calls + 1
    this.width = this.faults + 1
  }
}

/** A state, read part by part. */
export class View {
  readonly state: State
  readonly #parts: Parts
  readonly #layout: Layout

  constructor(state: State, parts: Parts, layout: Layout) {
    this.state = state
    this.#parts = parts
    this.#layout = layout
  }

  protected valueAt<T>(index: number): T {
    return this.#parts.valueOf(this.state[index] ?? 0) as T
  }

  object(index: number): ApiObject {
    return this.valueAt(index)
  }
  host(index: number): Host {
    return this.valueAt(this.#layout.objects + index)
  }
  controller(index: number): Controller {
    return this.valueAt(this.#layout.firstController + index)
  }
  get calls(): readonly Call[] {
    return this.valueAt<number[]>(this.#layout.calls).map((part) => this.#parts.valueOf(part) as Call)
  }
  get faults(): Faults {
    return this.valueAt(this.#layout.faults)
  }
  get objects(): ApiObject[] {
    return Array.from({ length: this.#layout.objects }, (_, index) => this.object(index))
  }
  get hosts(): Host[] {
    return Array.from({ length: this.#layout.hosts }, (_, index) => this.host(index))
  }
  get controllers(): Controller[] {
    return Array.from({ length: this.#layout.controllers }, (_, index) => this.controller(index))
  }
}

/** A copy that is changed. */
export class Draft extends View {
  readonly #parts: Parts
  readonly #layout: Layout

  constructor(from: State, parts: Parts, layout: Layout) {
    super(from.slice(), parts, layout)
    this.#parts = parts
    this.#layout = layout
  }

  #set(index: number, value: unknown): void {
    this.state[index] = this.#parts.numberOf(value)
  }

  setHost(index: number, value: Host): void {
    this.#set(this.#layout.objects + index, value)
  }
  setController(index: number, value: Controller): void {
    this.#set(this.#layout.firstController + index, value)
  }
  /** The order in which calls were sent tells nothing. */
  setCalls(calls: readonly Call[]): void {
    this.#set(
      this.#layout.calls,
      calls.map((call) => this.#parts.numberOf(call)).sort((x, y) => x - y),
    )
  }
  spend(fault: keyof Faults): void {
    const left = this.faults
    this.#set(this.#layout.faults, { ...left, [fault]: (left[fault] ?? 0) - 1 })
  }

  /** A write to an object makes every other that is based on the version before void. */
  setWritten(index: number, value: ApiObject): void {
    this.#set(index, value)
    const isTold = (call: Call) => call.fresh && call.action.kind !== 'Host' && call.action.object === index
    if (this.calls.some(isTold))
      this.setCalls(this.calls.map((call) => (isTold(call) ? { ...call, fresh: false } : call)))
    for (const [number, controller] of this.controllers.entries()) {
      const reads = controller.workers.some((worker) => worker?.at === 'Reading')
      const stale = controller.stale[index]
      if (!reads && !stale?.fresh) continue
      this.setController(number, {
        ...controller,
        workers: controller.workers.map((worker) =>
          worker?.at === 'Reading' ? { ...worker, written: worker.written | (1 << index) } : worker,
        ),
        stale: stale ? { ...controller.stale, [index]: { ...stale, fresh: false } } : controller.stale,
      })
    }
  }
}

/** A record with one entry more, changed or less, in the order of its keys. */
export function withEntry<T>(
  record: Readonly<Record<string, T>>,
  key: string,
  value: T | undefined,
): Record<string, T> {
  const { [key]: _, ...rest } = record
  const entries = Object.entries<T>(value === undefined ? rest : { ...rest, [key]: value })
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}
