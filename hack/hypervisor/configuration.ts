import { type AddressPlan, subnetAddresses } from './address.ts'
import { allowedNames, type Pki } from './pki.ts'

/** The port of libvirt's TLS transport. Each hypervisor has an address of its own, so it never clashes. */
export const tlsPort = 16514
/** The port of its TCP transport. */
export const tcpPort = 16509

export const networkName = 'default'
export const poolName = 'default'

/** What a daemon listens for beside its unix socket. */
export interface Listeners {
  readonly address: string
  readonly pki: Pki
  readonly tcp: boolean
  /** Whether TLS and TCP demand a user and a password. */
  readonly sasl: boolean
}

/** libvirtd.conf. `hostUuid` differs between hypervisors, which on one machine would all read the same from DMI. */
export function libvirtdConfiguration(hostUuid: string, { address, pki, tcp, sasl }: Listeners): string {
  const authentication = sasl ? 'sasl' : 'none'
  const settings: Record<string, string | number | readonly string[]> = {
    host_uuid: hostUuid,
    log_outputs: '3:file:/var/log/libvirt/libvirtd.log',
    auth_unix_ro: 'none',
    auth_unix_rw: 'none',
    unix_sock_group: 'root',
    unix_sock_ro_perms: '0700',
    unix_sock_rw_perms: '0700',
    // Controllers under test keep several long calls and many short ones in flight on one connection.
    max_client_requests: 20,
    listen_addr: address,
    listen_tcp: tcp ? 1 : 0,
    tcp_port: String(tcpPort),
    auth_tcp: authentication,
    listen_tls: 1,
    tls_port: String(tlsPort),
    auth_tls: authentication,
    ca_file: pki.ca,
    cert_file: pki.server.certificate,
    key_file: pki.server.key,
    tls_allowed_dn_list: allowedNames,
  }
  return format(settings)
}

/**
 * qemu.conf. QEMU runs as root, because /dev/kvm may be root's alone: as another user the cache of capabilities would
 * be thrown away at every start (12 s instead of 0.6 s), and the guests' files lie in a directory of ours anyway.
 */
export function qemuConfiguration(): string {
  return format({
    user: 'root',
    group: 'root',
    dynamic_ownership: 0,
    remember_owner: 0,
    security_driver: 'none',
    namespaces: [],
    cgroup_controllers: [],
    hugetlbfs_mount: [],
  })
}

/**
 * The guests' network: forward mode `open` routes without a packet filter, so that the machine reaches the guests
 * directly. Nothing leads further out, as the namespace has no default route. STP is off because it would keep a
 * restored guest unreachable for 3.5 s, and dnsmasq's ping before each offer because it costs each guest 3 s.
 */
export function networkXml(plan: Pick<AddressPlan, 'subnet'>): string {
  const { gateway, netmask, dhcpStart, dhcpEnd } = subnetAddresses(plan.subnet)
  return `<network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
  <name>${networkName}</name>
  <forward mode='open'/>
  <bridge name='virbr0' stp='off' delay='0'/>
  <ip address='${gateway}' netmask='${netmask}'>
    <dhcp><range start='${dhcpStart}' end='${dhcpEnd}'/></dhcp>
  </ip>
  <dnsmasq:options><dnsmasq:option value='no-ping'/></dnsmasq:options>
</network>
`
}

/** `path` has no character that XML would read otherwise: startHypervisor refuses such directories. */
export function poolXml(path: string): string {
  return `<pool type='dir'><name>${poolName}</name><target><path>${path}</path></target></pool>\n`
}

function format(settings: Readonly<Record<string, string | number | readonly string[]>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
    .join('')
}
