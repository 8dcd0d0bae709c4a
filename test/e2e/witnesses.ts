/** What is told of one machine while it changes: by the API server to who watches, and by libvirt. */
import type { Slot, VirtualMachine } from '../../controller/api/index.ts'
import type { Hypervisor } from '../../hack/hypervisor/index.ts'
import { Recorder } from '../support/recorder.ts'
import { type Lab, namespace } from './lab.ts'

/** A point in all records, and in time. */
export interface Mark {
  readonly at: number
  readonly versions: number
  readonly slots: number
  readonly lifecycle: number
}

/** A version of the machine, and when a watcher was told it; milliseconds since 1970. */
export interface Version {
  readonly at: number
  readonly vm: VirtualMachine
}

/** `Started Booted`; by libvirt's clock, milliseconds since 1970. */
export interface LifecycleEvent {
  readonly at: number
  readonly what: string
}

export class Witnesses {
  readonly #name: string
  readonly #machines: Recorder
  readonly #slots: Recorder
  readonly #lifecycle: Recorder

  /** Every version that is watched is one that somebody could have acted on: none is left out, as a look now and then would. */
  constructor(lab: Lab, { uri }: Hypervisor, name: string) {
    this.#name = name
    const { kubectl, kubeconfig } = lab.controlPlane
    const watch = (resource: string) =>
      new Recorder(kubectl, [
        ...[`--kubeconfig=${kubeconfig}`, 'get', `${resource}.berth.dev`, '--namespace', namespace],
        ...['--watch', '--output', 'jsonpath={}{"\\n"}'],
      ])
    this.#machines = watch('virtualmachines')
    this.#slots = watch('slots')
    // By line: to a pipe, virsh would tell its events when it has many.
    const virsh = ['virsh', '-q', '-c', uri, 'event', '--event', 'lifecycle', '--loop', '--timestamp']
    this.#lifecycle = new Recorder('stdbuf', ['--output=L', ...virsh])
  }

  mark(): Mark {
    return {
      at: Date.now(),
      versions: this.#machines.lines.length,
      slots: this.#slots.lines.length,
      lifecycle: this.#lifecycle.lines.length,
    }
  }

  /** The first version since then that is so. */
  async version(since: Mark, wanted: (vm: VirtualMachine) => boolean): Promise<Version> {
    const accepts = (text: string) => {
      const vm = JSON.parse(text) as VirtualMachine
      return vm.metadata.name === this.#name && wanted(vm)
    }
    const { at, text } = await this.#machines.next(accepts, since.versions)
    return { at, vm: JSON.parse(text) as VirtualMachine }
  }

  /** Power states that a watcher was told since then, beginning with the one it had, without repetitions. */
  powerStates(since: Mark): (string | undefined)[] {
    const states = this.#machines.lines.map(({ text }) => {
      const { metadata, status } = JSON.parse(text) as VirtualMachine
      return metadata.name === this.#name ? status?.powerState : undefined
    })
    const before = states.slice(0, since.versions).findLast((state) => state !== undefined)
    const told = [before, ...states.slice(since.versions).filter((state) => state !== undefined)]
    return told.filter((state, index) => state !== told[index - 1])
  }

  /** Versions of all slots, from the one on that was the last then. */
  slots(since: Mark): Slot[] {
    return this.#slots.lines.slice(since.slots - 1).map(({ text }) => JSON.parse(text) as Slot)
  }

  async slot(since: Mark, wanted: (slot: Slot) => boolean): Promise<void> {
    await this.#slots.next((text) => wanted(JSON.parse(text) as Slot), since.slots)
  }

  /** What libvirt told of the domain since then. */
  lifecycle(since: Mark): LifecycleEvent[] {
    return this.#lifecycle.lines.slice(since.lifecycle).flatMap(({ text }) => {
      const [, at, domain, what = ''] = /^(\S+ \S+): event 'lifecycle' for domain '([^']+)': (.*?)\s*$/.exec(text) ?? []
      const isOurs = domain === `${namespace}_${this.#name}`
      return isOurs && at !== undefined ? [{ at: Date.parse(at.replace(' ', 'T')), what }] : []
    })
  }

  /** The end of each run and its start since then: a host may tell more of how it gets there. */
  runs(since: Mark): LifecycleEvent[] {
    return this.lifecycle(since).filter(({ what }) => /^(Started|Stopped) /.test(what))
  }

  /** Resolves in the moment in which libvirt tells it, or told it since then. */
  async event(since: Mark, what: string): Promise<void> {
    await this.#lifecycle.next((text) => text.includes(`'${namespace}_${this.#name}': ${what}`), since.lifecycle)
  }

  stop(): void {
    for (const recorder of [this.#machines, this.#slots, this.#lifecycle]) recorder.stop()
  }
}
