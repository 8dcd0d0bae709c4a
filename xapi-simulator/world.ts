import { countMemory } from './messages/placement.ts'
import { makeVm } from './messages/vm.ts'
import type { Member, Pool } from './state/pool.ts'

const gibibyte = 1024 ** 3

export interface SrDescription {
  readonly name: string
  /** The driver: `ext`, `nfs`, `lvm`, `lvmoiscsi`, `iso`; those of logical volumes take a disk's whole size at once. */
  readonly type?: string
  /** Whether every host has it; else the first host alone. */
  readonly shared?: boolean
  /** Bytes. */
  readonly size?: number
}

export interface NetworkDescription {
  readonly name: string
  readonly bridge?: string
}

export interface HostDescription {
  /** Bytes of memory, of which Xen and the control domain take theirs. */
  readonly memory?: number
  readonly cpus?: number
}

/** Makes the objects of a pool that was just installed: hosts with their control domains, SRs, networks, a template. */
export function furnish(
  pool: Pool,
  name: string,
  addresses: readonly string[],
  description: {
    readonly srs: readonly SrDescription[]
    readonly networks: readonly NetworkDescription[]
    readonly host: HostDescription
  },
): Member[] {
  const { database } = pool
  const members = addresses.map((address, index) => ({
    address,
    host: makeHost(pool, `${name}-host-${index + 1}`, address, description.host),
  }))
  const hosts = members.map(({ host }) => host)
  const [master = ''] = hosts
  database.create('pool', { name_label: name, master, ha_allow_overcommit: false })
  for (const host of hosts) makeControlDomain(pool, host)
  description.networks.forEach((network, index) => {
    const reference = database.create('network', {
      name_label: network.name,
      bridge: network.bridge ?? `xenbr${index}`,
      MTU: 1500,
      managed: true,
    })
    hosts.forEach((host, member) => {
      database.create('PIF', {
        device: `eth${index}`,
        network: reference,
        host,
        MAC: `00:16:3e:00:${hex(index)}:${hex(member)}`,
        MTU: 1500,
        VLAN: -1,
        physical: true,
        managed: true,
        currently_attached: true,
        management: index === 0,
        ip_configuration_mode: 'Static',
        IP: index === 0 ? (addresses[member] ?? '') : '',
      })
    })
  })
  const srs = description.srs.map((sr) => makeSr(pool, sr, hosts))
  database.update('pool', pool.self[0], { default_SR: srs[0] ?? 'OpaqueRef:NULL' })
  makeTemplate(pool)
  countMemory(pool)
  return members
}

function makeHost(
  pool: Pool,
  name: string,
  address: string,
  { memory = 64 * gibibyte, cpus = 16 }: HostDescription,
): string {
  const { database } = pool
  const metrics = database.create('host_metrics', { memory_total: memory, memory_free: memory, live: true })
  const host = database.create('host', {
    name_label: name,
    hostname: name,
    address,
    metrics,
    enabled: true,
    memory_overhead: gibibyte / 2,
    API_version_major: 2,
    API_version_minor: 21,
    API_version_vendor: 'XenSource',
    capabilities: ['xen-3.0-x86_64', 'hvm-3.0-x86_32', 'hvm-3.0-x86_32p', 'hvm-3.0-x86_64'],
    software_version: {
      product_brand: 'XCP-ng',
      product_version: '8.3.0',
      platform_name: 'XCP',
      platform_version: '3.4.0',
      xapi: '24.11',
      xen: '4.17',
    },
    cpu_info: { cpu_count: String(cpus), socket_count: '1', vendor: 'GenuineIntel', modelname: 'Simulated processor' },
    edition: 'xcp-ng',
    display: 'enabled',
  })
  for (let number = 0; number < cpus; number++) database.create('host_cpu', { host, number, vendor: 'GenuineIntel' })
  return host
}

/** The machine that drives a host; clients see it among the others. */
function makeControlDomain(pool: Pool, host: string): void {
  const memory = 4 * gibibyte
  const vm = makeVm(pool, {
    name_label: `Control domain on host: ${pool.database.get('host', host).name_label}`,
    is_control_domain: true,
    memory_static_min: memory,
    memory_static_max: memory,
    memory_dynamic_min: memory,
    memory_dynamic_max: memory,
    memory_target: memory,
    VCPUs_max: 4,
    VCPUs_at_startup: 4,
  })
  pool.database.update('VM', vm, { power_state: 'Running', domid: 0, resident_on: host, domain_type: 'pv' })
  pool.database.update('host', host, { control_domain: vm })
}

function makeSr(
  pool: Pool,
  { name, type = 'ext', shared = true, size = 256 * gibibyte }: SrDescription,
  hosts: readonly string[],
): string {
  const SR = pool.database.create('SR', {
    name_label: name,
    type,
    content_type: type === 'iso' ? 'iso' : 'user',
    shared,
    physical_size: size,
  })
  for (const host of shared ? hosts : hosts.slice(0, 1)) {
    pool.database.create('PBD', { host, SR, currently_attached: true, device_config: {} })
  }
  return SR
}

function makeTemplate(pool: Pool): void {
  makeVm(pool, {
    name_label: 'Other install media',
    name_description: 'A template for any guest, with full virtualisation',
    is_a_template: true,
    is_default_template: true,
    memory_static_min: gibibyte / 8,
    memory_static_max: gibibyte,
    memory_dynamic_min: gibibyte,
    memory_dynamic_max: gibibyte,
    VCPUs_max: 1,
    VCPUs_at_startup: 1,
    actions_after_shutdown: 'destroy',
    actions_after_reboot: 'restart',
    actions_after_crash: 'restart',
    HVM_boot_policy: 'BIOS order',
    HVM_boot_params: { order: 'dc' },
    platform: { acpi: '1', apic: 'true', pae: 'true', viridian: 'true' },
    other_config: { default_template: 'true' },
  })
}

function hex(number: number): string {
  return number.toString(16).padStart(2, '0')
}
