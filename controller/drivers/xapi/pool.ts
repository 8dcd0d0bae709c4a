/** The pool as it is now, for all that the driver does. */
import { BerthError } from '../../errors/index.ts'
import type { CallOptions } from '../../hypervisor/port.ts'
import type { Client } from './client.ts'
import type { VM } from './machines.ts'
import {
  type Found,
  found,
  type NetworkRecord,
  type PBDRecord,
  type Records,
  type SRRecord,
  type VDIRecord,
  type VMRecord,
} from './records.ts'
import { SharedRead } from './shared-read.ts'

export type SR = Found<SRRecord> & {
  /** What it is called in the port: its name label where no other SR has it, else its UUID. */
  readonly name: string
  /** A host can reach it. */
  readonly active: boolean
}
export type VDI = Found<VDIRecord>

const machines =
  'field "is_a_template" = "false" and field "is_a_snapshot" = "false" and field "is_control_domain" = "false"'

/**
 * Listings are read from the pool each time, never kept: what is not in them is not there. Many who ask at once share
 * one.
 */
export class PoolView {
  readonly client: Client
  readonly #vms: SharedRead<readonly VM[]>
  readonly #vdis: SharedRead<readonly VDI[]>
  readonly #srs: SharedRead<readonly SR[]>

  constructor(client: Client) {
    this.client = client
    this.#vms = new SharedRead(async () =>
      found(await client.read<Records<VMRecord>>('VM.get_all_records_where', [machines])),
    )
    this.#vdis = new SharedRead(async () => {
      const vdis = found(await client.read<Records<VDIRecord>>('VDI.get_all_records'))
      return vdis.filter(({ is_a_snapshot, managed, missing }) => !is_a_snapshot && managed && !missing)
    })
    this.#srs = new SharedRead(() => readSRs(client))
  }

  /** Machines: no templates, no snapshots, no control domains. */
  vms(): Promise<readonly VM[]> {
    return this.#vms.get()
  }

  /** Disks: no snapshots of disks. */
  vdis(): Promise<readonly VDI[]> {
    return this.#vdis.get()
  }

  srs(): Promise<readonly SR[]> {
    return this.#srs.get()
  }

  /** By UUID or name label. Undefined: none. Rejects with InvalidConfiguration where several have the name. */
  async findSR(name: string): Promise<SR | undefined> {
    const srs = await this.srs()
    const named = srs.filter(({ uuid, name_label }) => uuid === name || name_label === name)
    if (named.length > 1) {
      const uuids = named.map(({ uuid }) => uuid).join(', ')
      throw new BerthError('InvalidConfiguration', `Several SRs are named '${name}': name one by its UUID: ${uuids}.`)
    }
    return named[0]
  }

  /** Rejects with PoolNotFound or PoolInactive. */
  async activeSR(name: string): Promise<SR> {
    const sr = await this.findSR(name)
    if (sr === undefined) throw new BerthError('PoolNotFound', `The pool has no SR '${name}'.`)
    if (sr.active) return sr
    throw new BerthError('PoolInactive', `The SR '${name}' is plugged into no host.`)
  }

  async networks(options: CallOptions): Promise<readonly Found<NetworkRecord>[]> {
    return found(await this.client.read<Records<NetworkRecord>>('network.get_all_records', [], options))
  }

  /** By UUID, name label, or bridge. Undefined: none. */
  async findNetwork(
    wanted: { readonly xapiNetwork: string } | { readonly bridge: string },
    options: CallOptions,
  ): Promise<Found<NetworkRecord> | undefined> {
    const networks = await this.networks(options)
    const named = networks.filter((network) =>
      'bridge' in wanted
        ? network.bridge === wanted.bridge
        : network.uuid === wanted.xapiNetwork || network.name_label === wanted.xapiNetwork,
    )
    if (named.length <= 1) return named[0]
    const name = 'bridge' in wanted ? wanted.bridge : wanted.xapiNetwork
    const uuids = named.map(({ uuid }) => uuid).join(', ')
    throw new BerthError(
      'InvalidConfiguration',
      `Several networks are named '${name}': name one by its UUID: ${uuids}.`,
    )
  }
}

async function readSRs(client: Client): Promise<readonly SR[]> {
  const [records, pbds] = await Promise.all([
    client.read<Records<SRRecord>>('SR.get_all_records'),
    client.read<Records<PBDRecord>>('PBD.get_all_records'),
  ])
  const srs = found(records)
  const count = (label: string) => srs.filter(({ name_label }) => name_label === label).length
  return srs.map((sr) => ({
    ...sr,
    name: sr.name_label !== '' && count(sr.name_label) === 1 ? sr.name_label : sr.uuid,
    active: sr.PBDs.some((pbd) => pbds[pbd]?.currently_attached),
  }))
}
