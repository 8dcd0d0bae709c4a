/** What must hold at every moment, whatever fails: checked after each effect. */
import { parse } from 'yaml'
import { addressLeases, slots, type VirtualMachine, virtualMachines } from '../../../controller/api/index.ts'
import { type MachineSpec, volumeNames } from '../../../controller/hypervisor/port.ts'
import type { FakePool } from '../../../controller/hypervisor/testing/fake-session.ts'
import type { ReadObject } from '../../../controller/kube/index.ts'
import type { APIServer } from './api-server.ts'
import type { Effect } from './effects.ts'
import type { Hosts } from './hosts.ts'

export class Safety {
  readonly violations: string[] = []
  readonly #api: APIServer
  readonly #hosts: Hosts
  /** Volumes of disks that were made. */
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
    const removed = vm.status?.disks?.some(
      ({ volume = '', state, deletionPolicy }) =>
        target.endsWith(`/${volume}`) && state === 'Removing' && deletionPolicy !== 'Retain',
    )
    if (verb === 'undefine' || (verb === 'deleteVolume' && !target.endsWith('-seed') && !removed)) {
      refuse('nobody has asked for its deletion')
    }
    if (!this.#boundTo(vm)) return
    const restarts = vm.status?.restarting !== undefined && (verb === 'powerOff' || verb === 'shutdown')
    const stopping = verb === 'powerOff' || verb === 'shutdown' || verb === 'park'
    if (stopping && !restarts && vm.spec.powerState !== 'Stopped') refuse('it was to run')
    if (verb === 'discardMemory') refuse('nobody has asked for its memory to go')
  }

  #leasedTo(uid: string, used: string): boolean {
    return this.#api
      .list(addressLeases)
      .some(({ spec }) => spec.consumerRef.uid === uid && (spec.address === used || spec.macAddress === used))
  }

  #boundTo({ metadata }: ReadObject<VirtualMachine>): boolean {
    return this.#api
      .list(slots)
      .some(({ status }) => status?.consumerRef?.uid === metadata.uid && status.phase === 'Bound')
  }

  /** A disk that was there is there while its object is, and has not let it go; none is there twice, or was never recorded. */
  #checkDisks(refuse: (what: string) => void): void {
    for (const { metadata, status } of this.#api.list(virtualMachines)) {
      const pools = this.#hosts.all().flatMap(({ host }) => [...host.pools.values()])
      const leaves = metadata.deletionTimestamp !== undefined
      for (const name of new Set(['root', ...namesOf(metadata.uid, pools), ...this.#namesSeen(metadata.uid)])) {
        const disk = volumeNames.disk(metadata.uid, name)
        const there = pools.filter(({ volumes }) => volumes.has(disk)).length
        const entry = status?.disks?.find((one) => one.name === name)
        const staysRecorded = entry !== undefined && entry.state !== 'Removing'
        if (there > 1) refuse(`${metadata.name} has ${there} ${name} disks`)
        if (there === 1) {
          if (!this.#disks.has(disk) && entry === undefined && !leaves) refuse(`${disk} was never recorded`)
          this.#disks.add(disk)
        } else if (this.#disks.has(disk) && !leaves && (staysRecorded || name === 'root')) {
          refuse(`${metadata.name} has lost its ${name} disk`)
        } else this.#disks.delete(disk)
      }
    }
  }

  #namesSeen(uid: string): string[] {
    const prefix = volumeNames.disk(uid, '')
    return [...this.#disks].flatMap((disk) => (disk.startsWith(prefix) ? disk.slice(prefix.length) : []))
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
        for (const used of addressesOf(spec))
          if (!this.#leasedTo(uid, used)) refuse(`${uid} uses ${used} without a lease`)
      }
    }
  }
}

/** Names of the disks that are there, beside the seed. */
function namesOf(uid: string, pools: readonly FakePool[]): string[] {
  const prefix = volumeNames.disk(uid, '')
  return pools
    .flatMap(({ volumes }) => [...volumes.keys()])
    .flatMap((volume) => (volume.startsWith(prefix) ? volume.slice(prefix.length) : []))
    .filter((name) => name !== 'seed')
}

/** What nobody else may have: its MAC addresses, and what its guest is told to have. */
function addressesOf({ interfaces, seed }: MachineSpec): string[] {
  const { ethernets = {} } = parse(seed.files?.['network-config'] ?? '{}') as {
    ethernets?: Record<string, { addresses?: string[] }>
  }
  const told = Object.values(ethernets).flatMap(({ addresses = [] }) => addresses)
  return [...interfaces.map(({ macAddress }) => macAddress), ...told.map((address) => address.split('/')[0] ?? '')]
}
