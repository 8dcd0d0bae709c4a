/** The one reader of a pool's events, for as long as its session lasts: the session's pulse too. */
import type { CallOptions, HypervisorEvent } from '../../hypervisor/port.ts'
import { EventQueue } from '../shared/event-queue.ts'
import type { Client } from './client.ts'
import { isXapiFailure, mapError } from './errors.ts'
import type { EventBatch, Ref, VMRecord } from './records.ts'
import { keys } from './tag.ts'

const classes = ['vm', 'vm_guest_metrics']

interface Known {
  readonly id: string
  readonly instanceID: string | undefined
  readonly guestMetrics: Ref
  /** All that an event is worth telling for: a machine's record changes with every breath of it. */
  readonly state: string
}

export class EventPump {
  readonly #client: Client
  readonly #readers = new Set<EventQueue>()
  #known = new Map<Ref, Known>()
  #token = ''
  /** Logins when everything was read last. */
  #logins = 0

  constructor(client: Client) {
    this.#client = client
  }

  /** Learns what is there: what happens from then on is told. Rejects when the pool gives this session no events. */
  async begin(options: CallOptions): Promise<void> {
    try {
      await this.#list(options)
    } catch (error) {
      throw mapError(error, 'Read')
    }
  }

  /** Runs until the session ends, and ends it when the pool answers no more. Never rejects. */
  async run(): Promise<void> {
    try {
      for (;;) await this.#next()
    } catch (error) {
      await this.#client.close(mapError(error, 'Read'))
    }
  }

  /** Events from now on, after a Gap, until the signal or the session's end. */
  async *events(signal: AbortSignal): AsyncGenerator<HypervisorEvent> {
    const queue = new EventQueue()
    const end = () => queue.end()
    signal.addEventListener('abort', end, { once: true })
    void this.#client.closed.then((reason) => queue.end(reason))
    try {
      if (signal.aborted) return
      queue.add({ type: 'Gap', reason: 'events are told from here on' })
      this.#readers.add(queue)
      yield* queue
    } finally {
      this.#readers.delete(queue)
      signal.removeEventListener('abort', end)
    }
  }

  async #next(): Promise<void> {
    try {
      this.#takeAll(await this.#client.eventsSince(classes, this.#token), false)
      if (this.#logins === this.#client.logins) return
      // A new master, or a pool that was restarted, need not have counted as far as the token says.
      await this.#list()
      this.#tell({ type: 'Gap', reason: 'the session began anew' })
    } catch (error) {
      if (!isXapiFailure(error, 'EVENTS_LOST', 'EVENT_FROM_TOKEN_PARSE_FAILURE')) throw error
      await this.#list()
      // Not before: what happens between a reader's listing and ours would be told by neither.
      this.#tell({ type: 'Gap', reason: `the pool has lost events (${error.code})` })
    }
  }

  /** From an empty token everything is told anew. */
  async #list(options: CallOptions = {}): Promise<void> {
    const { logins } = this.#client
    const batch = await this.#client.eventsSince(classes, '', options)
    this.#logins = logins
    this.#known = new Map()
    this.#takeAll(batch, true)
  }

  #takeAll({ events, token }: EventBatch, isListing: boolean): void {
    for (const event of events) this.#take(event, isListing)
    this.#token = token
  }

  /** `isListing`: what there was before anything happened. */
  #take({ class: name, operation, ref, snapshot }: EventBatch['events'][number], isListing: boolean): void {
    if (name.toLowerCase() === 'vm_guest_metrics') {
      const machine = [...this.#known.values()].find(({ guestMetrics }) => guestMetrics === ref)
      if (machine !== undefined && !isListing) this.#tellOf(machine, 'Guest')
      return
    }
    const before = this.#known.get(ref)
    const vm = snapshot as VMRecord
    // What a person makes a template of is no machine any more.
    if (operation === 'del' || vm.is_a_template || vm.is_a_snapshot || vm.is_control_domain) {
      this.#known.delete(ref)
      if (before) this.#tellOf(before, 'Removed')
      return
    }
    const after = knownOf(vm)
    this.#known.set(ref, after)
    if (!isListing && before?.state !== after.state) this.#tellOf(after, vm.power_state)
  }

  #tellOf({ id, instanceID }: Known, detail: string): void {
    this.#tell({ type: 'Machine', id, ...(instanceID === undefined ? {} : { instanceID }), detail })
  }

  #tell(event: HypervisorEvent): void {
    for (const reader of this.#readers) reader.add(event)
  }
}

const knownOf = (vm: VMRecord): Known => ({
  id: vm.uuid,
  instanceID: vm.other_config[keys.instanceID],
  guestMetrics: vm.guest_metrics,
  state: JSON.stringify([
    vm.power_state,
    vm.name_label,
    vm.other_config,
    vm.blocked_operations,
    Object.values(vm.current_operations),
    vm.guest_metrics,
    vm.memory_static_max,
    vm.VCPUs_max,
    vm.VBDs,
    vm.VIFs,
  ]),
})
