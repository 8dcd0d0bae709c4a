import { BerthError } from '../../errors/index.ts'
import type { CallOptions, Capabilities, HostInformation, PoolMember } from '../../hypervisor/port.ts'
import type { Client } from './client.ts'
import { type Found, found, type HostMetricsRecord, type HostRecord, type PoolRecord, type Records } from './records.ts'

/** API 2.0 is of XenServer 6.5 (2015). */
const oldestAPI = 2

/** Asks the pool about itself and its hosts. Rejects with VersionUnsupported. */
export async function readPool(client: Client, options: CallOptions): Promise<HostInformation> {
  const [pools, hostRecords, metrics] = await Promise.all([
    client.read<Records<PoolRecord>>('pool.get_all_records', [], options),
    client.read<Records<HostRecord>>('host.get_all_records', [], options),
    client.read<Records<HostMetricsRecord>>('host_metrics.get_all_records', [], options),
  ])
  const [pool] = found(pools)
  const hosts = found(hostRecords).toSorted((one, other) => one.name_label.localeCompare(other.name_label))
  const master = hosts.find(({ ref }) => ref === pool?.master)
  if (pool === undefined || master === undefined) throw new BerthError('TemporaryFailure', 'The pool names no master.')
  requireVersion(master)
  const live = hosts.filter((host) => metrics[host.metrics]?.live)
  const sum = (value: (host: Found<HostRecord>) => number) => live.reduce((total, host) => total + value(host), 0)
  return {
    id: pool.uuid,
    hostName: pool.name_label || master.name_label,
    version: versionOf(master),
    cpus: sum(cpusOf),
    memory: sum((host) => Number(metrics[host.metrics]?.memory_total ?? 0)),
    freeMemory: sum((host) => Number(metrics[host.metrics]?.memory_free ?? 0)),
    capabilities: capabilitiesOf(hosts),
    members: hosts.map((host) => memberOf(host, metrics[host.metrics])),
  }
}

function requireVersion(host: HostRecord): void {
  if (Number(host.API_version_major) >= oldestAPI) return
  throw new BerthError(
    'VersionUnsupported',
    `The pool has ${versionOf(host)}; Berth needs API ${oldestAPI}.0 or newer.`,
  )
}

function versionOf({ API_version_major, API_version_minor, software_version }: HostRecord): string {
  const product = [software_version['product_brand'], software_version['product_version']].filter(Boolean).join(' ')
  return [`XAPI ${API_version_major}.${API_version_minor}`, ...(product === '' ? [] : [product])].join(', ')
}

const cpusOf = ({ cpu_info, host_CPUs }: HostRecord): number => Number(cpu_info['cpu_count'] ?? host_CPUs.length)

const memberOf = (host: HostRecord, metrics: HostMetricsRecord | undefined): PoolMember => ({
  id: host.uuid,
  hostName: host.name_label,
  online: metrics?.live ?? false,
  cpus: cpusOf(host),
  memory: Number(metrics?.memory_total ?? 0),
})

/** What every host can do. Xen says `hvm-3.0-x86_64` for full virtualisation, `xen-3.0-x86_64` for guests that know of it. */
export function capabilitiesOf(hosts: readonly Pick<HostRecord, 'capabilities'>[]): Capabilities {
  const all = (prefix: string) =>
    hosts.length > 0 &&
    hosts.every(({ capabilities }) => capabilities.some((one) => one.startsWith(prefix) && one.endsWith('-x86_64')))
  const hvm = all('hvm-')
  const modes = [...(hvm ? ['HVM'] : []), ...(all('xen-') ? ['PV'] : [])]
  return {
    architectures: modes.length > 0 ? ['x86_64'] : [],
    // Xen runs guests neither by KVM nor by QEMU's emulation of a CPU.
    accelerators: [],
    modes,
    firmware: hvm ? ['BIOS'] : [],
    storageTypes: ['SR'],
    features: ['GuestAgent', 'HotPlugDisk', 'Pause', 'Suspend'],
    imageFormats: ['raw'],
  }
}
