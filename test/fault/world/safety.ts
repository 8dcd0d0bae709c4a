/** What must hold at every moment, whatever fails: checked after each effect. */
import { slots, type VirtualMachine, virtualMachines } from '../../../controller/api/index.ts'
import { volumeNames } from '../../../controller/hypervisor/port.ts'
import type { ReadObject } from '../../../controller/kube/index.ts'
import type { APIServer } from './api-server.ts'
import type { Effect } from './effects.ts'
import type { Hosts } from './hosts.ts'

export class Safety {
  readonly violations: string[] = []
  readonly #api: APIServer
  readonly #hosts: Hosts
  /** Root disks that were made, by instance id. */
  readonly #disks = new Set<string>()

  constructor(api: APIServer, hosts: Hosts) {
    this.#api = api
    this.#hosts = hosts
  }

  /** After each effect. */
  check(effect: Effect): void {
    const refuse = (what: string) => this.refuse(effect, what)
    if (effect.port === 'host') {
      this.#checkAgainstWishes(effect, refuse)
      this.#checkDisks(refuse)
    }
    this.#checkRunning(refuse)
  }

  refuse({ number, verb, target }: Effect, what: string): void {
    this.violations.push(`effect ${number}, ${verb} ${target}: ${what}`)
  }

  /** What is destroyed, and what is stopped, was asked for. */
  #checkAgainstWishes({ verb, target }: Effect, refuse: (what: string) => void): void {
    const vm = this.#api.list(virtualMachines).find(({ metadata }) => target.includes(metadata.uid))
    if (!vm || vm.metadata.deletionTimestamp !== undefined) return
    if (verb === 'undefine' || (verb === 'deleteVolume' && !target.endsWith('-seed'))) {
      refuse('nobody has asked for its deletion')
    }
    if (!this.#boundTo(vm)) return
    const restarts = vm.status?.restarting !== undefined && (verb === 'powerOff' || verb === 'shutdown')
    const stopping = verb === 'powerOff' || verb === 'shutdown' || verb === 'park'
    if (stopping && !restarts && vm.spec.powerState !== 'Stopped') refuse('it was to run')
    if (verb === 'discardMemory') refuse('nobody has asked for its memory to go')
  }

  #boundTo({ metadata }: ReadObject<VirtualMachine>): boolean {
    return this.#api
      .list(slots)
      .some(({ status }) => status?.consumerRef?.uid === metadata.uid && status.phase === 'Bound')
  }

  /** A disk that was there is there while its object is. */
  #checkDisks(refuse: (what: string) => void): void {
    for (const { metadata } of this.#api.list(virtualMachines)) {
      const there = this.#hosts
        .all()
        .flatMap(({ host }) => [...host.pools.values()])
        .filter(({ volumes }) => volumes.has(volumeNames.disk(metadata.uid, 'root'))).length
      if (there > 1) refuse(`${metadata.name} has ${there} root disks`)
      if (there === 1) this.#disks.add(metadata.uid)
      else if (this.#disks.has(metadata.uid) && metadata.deletionTimestamp === undefined) {
        refuse(`${metadata.name} has lost its disk`)
      }
    }
  }

  /** What runs, runs under a claim of its own on that host; and one machine a slot. */
  #checkRunning(refuse: (what: string) => void): void {
    const runs = new Map<string, string>()
    for (const { name, host } of this.#hosts.all()) {
      for (const { spec, power } of host.machines.values()) {
        if (power === 'Stopped') continue
        const { slot, uid, released } = spec.tag
        const other = runs.get(slot)
        if (other !== undefined) refuse(`${uid} and ${other} run on slot ${slot}`)
        if (slot !== '') runs.set(slot, uid)
        if (released) continue
        const held = this.#api
          .list(slots)
          .some((claim) => claim.status?.consumerRef?.uid === uid && claim.spec.hypervisor === name)
        if (!held) refuse(`${uid} runs on ${name} without a claim`)
      }
    }
  }
}
