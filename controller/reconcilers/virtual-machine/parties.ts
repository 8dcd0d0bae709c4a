/**
 * What anti-affinity goes by, from the caches: who keeps away from whom, and where they hold slots.
 *
 * Guarantee, as of Kubernetes' own scheduler: one process places at a time (the leader), it sees its own claims as soon
 * as they are answered (OverlayCache) and those that are not answered yet (ClaimsUnderWay), so that it gives no two
 * machines that must be apart slots on one host. A change of labels or terms counts at the next claim; nothing is moved.
 * What can slip through: a claim that a deposed leader sent last, and labels that were changed a moment ago.
 *
 * Slots do not say on which host of a pool of hosts their machines run: the pool decides at each start. What is kept off
 * a hypervisor is on none of its hosts, so scope Host is kept by keeping to Hypervisor.
 */
import type { Slot, VirtualMachine } from '../../api/index.ts'
import type { ReadObject } from '../../kube/port.ts'
import type { AntiAffinityTerm, Occupant, Party } from '../../placement/index.ts'
import { Neighbours } from '../../placement/index.ts'
import type { Caches } from '../shared/caches.ts'
import type { ClaimsUnderWay } from './claims.ts'

export class Parties {
  readonly #caches: Pick<Caches, 'virtualMachines' | 'slots'>
  readonly #claims: ClaimsUnderWay
  readonly #now: number
  /** By namespace: the keys of labels that its terms speak of, in order; undefined: it has no terms. */
  readonly #keys = new Map<string, readonly string[] | undefined>()

  /** For one decision: what it has looked up once, it does not look up again. `now`: monotonic, ms. */
  constructor(caches: Pick<Caches, 'virtualMachines' | 'slots'>, claims: ClaimsUnderWay, now: number) {
    this.#caches = caches
    this.#claims = claims
    this.#now = now
  }

  /** Undefined: no machine of its namespace is to be kept apart from others. */
  of(vm: ReadObject<VirtualMachine>): Party | undefined {
    const keys = this.#keysOf(vm.metadata.namespace ?? '')
    return keys && partyOf(vm, keys)
  }

  /** The slot that it is about to have. */
  slotUnderWay({ metadata }: ReadObject<VirtualMachine>): string | undefined {
    return this.#underWay(metadata.namespace ?? '').find(({ machine }) => machine.metadata.uid === metadata.uid)?.slot
      .metadata.name
  }

  /** Machines with slots, as far as these have to be kept apart from them. */
  occupants(parties: readonly (Party | undefined)[]): Occupant[] {
    /** Without terms of their own, only those that have some can matter to them. */
    const all = new Map<string, boolean>()
    for (const party of parties) {
      if (party) all.set(party.namespace, all.get(party.namespace) || party.antiAffinity.length > 0)
    }
    return [...all].flatMap(([namespace, everyone]) => this.#occupantsOf(namespace, everyone))
  }

  /** Whether nobody there keeps it away, now that its claim is about to be sent. */
  admits(vm: ReadObject<VirtualMachine>, slot: ReadObject<Slot>): boolean {
    const party = this.of(vm)
    return !party || !new Neighbours(this.occupants([party])).keptApartFrom(party, slot.spec.hypervisor)
  }

  #keysOf(namespace: string): readonly string[] | undefined {
    if (this.#keys.has(namespace)) return this.#keys.get(namespace)
    const machines = this.#caches.virtualMachines.byIndex('antiAffinity', namespace)
    const keys = machines.length === 0 ? undefined : [...new Set(machines.flatMap((vm) => termsOf(vm).keys))].toSorted()
    this.#keys.set(namespace, keys)
    return keys
  }

  #occupantsOf(namespace: string, everyone: boolean): Occupant[] {
    const holders = everyone ? this.#holders(namespace) : this.#holdersWithTerms(namespace)
    return [...holders, ...this.#underWay(namespace)].flatMap(({ machine, slot }) => {
      const party = this.of(machine)
      return party ? [{ name: machine.metadata.name, party, hypervisor: slot.spec.hypervisor }] : []
    })
  }

  #underWay(namespace: string) {
    return this.#claims.of(namespace, this.#caches, this.#now)
  }

  #holders(namespace: string) {
    return this.#caches.slots.byIndex('consumerNamespace', namespace).flatMap((slot) => {
      const { name, uid } = slot.status?.consumerRef ?? {}
      const machine = this.#caches.virtualMachines.get(`${namespace}/${name}`)
      return machine?.metadata.uid === uid && machine ? [{ machine, slot }] : []
    })
  }

  #holdersWithTerms(namespace: string) {
    return this.#caches.virtualMachines
      .byIndex('antiAffinity', namespace)
      .flatMap((machine) =>
        this.#caches.slots.byIndex('consumer', machine.metadata.uid).map((slot) => ({ machine, slot })),
      )
  }
}

interface Terms {
  readonly terms: readonly AntiAffinityTerm[]
  readonly keys: readonly string[]
}

/** By the object, of which a cache gives the same one as long as it does not change. */
const termsByMachine = new WeakMap<VirtualMachine, Terms>()

function termsOf(vm: VirtualMachine): Terms {
  const known = termsByMachine.get(vm)
  if (known) return known
  const terms = (vm.spec.placement?.antiAffinity ?? []).map(({ selector, strength = 'Required' }) => ({
    selector,
    strength,
  }))
  const keys = terms.flatMap(({ selector: { matchLabels = {}, matchExpressions = [] } }) => [
    ...Object.keys(matchLabels),
    ...matchExpressions.map(({ key }) => key),
  ])
  const made = { terms, keys }
  termsByMachine.set(vm, made)
  return made
}

const partyByMachine = new WeakMap<VirtualMachine, { readonly keys: string; readonly party: Party }>()

function partyOf(vm: ReadObject<VirtualMachine>, keys: readonly string[]): Party {
  const under = keys.join()
  const known = partyByMachine.get(vm)
  if (known?.keys === under) return known.party
  const { namespace = '', labels: all = {} } = vm.metadata
  const labels = Object.fromEntries(keys.flatMap((key) => (all[key] === undefined ? [] : [[key, all[key]]])))
  const { terms: antiAffinity } = termsOf(vm)
  const party = { kind: JSON.stringify([namespace, labels, antiAffinity]), namespace, labels, antiAffinity }
  partyByMachine.set(vm, { keys: under, party })
  return party
}
