/** An IPv4 network: the address of the network as an unsigned number, and the length of its prefix. */
export interface Network {
  readonly address: number
  readonly prefix: number
}

/** Where one local hypervisor lies: a link of two addresses to the machine, and a subnet for its guests. */
export interface AddressPlan {
  /** The end of the link in the machine's own network namespace. */
  readonly hostAddress: string
  /** The hypervisor's end. */
  readonly address: string
  readonly linkPrefix: number
  /** The guests' subnet in CIDR notation. Its first address is the gateway; all others but the last are for DHCP. */
  readonly subnet: string
}

export interface SubnetAddresses {
  readonly gateway: string
  readonly netmask: string
  readonly dhcpStart: string
  readonly dhcpEnd: string
}

export function parseNetwork(cidr: string): Network {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(cidr)
  const octets = match?.slice(1, 5).map(Number) ?? []
  const prefix = Number(match?.[5] ?? 32)
  if (match === null || octets.some((octet) => octet > 255) || prefix > 32) {
    throw new RangeError(`'${cidr}' is not an IPv4 network such as 10.77.64.0/24`)
  }
  const address = octets.reduce((value, octet) => value * 256 + octet, 0)
  return { address: address - (address % size(prefix)), prefix }
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

export function overlaps(one: Network, other: Network): boolean {
  return one.address < other.address + size(other.prefix) && other.address < one.address + size(one.prefix)
}

export function subnetAddresses(cidr: string): SubnetAddresses {
  const { address, prefix } = parseNetwork(cidr)
  if (prefix < 8 || prefix > 29) throw new RangeError(`a subnet for guests has a prefix of 8 to 29, not ${prefix}`)
  return {
    gateway: formatAddress(address + 1),
    netmask: formatAddress(2 ** 32 - size(prefix)),
    dhcpStart: formatAddress(address + 2),
    dhcpEnd: formatAddress(address + size(prefix) - 2),
  }
}

/**
 * Every place for a hypervisor that overlaps none of `taken`, in a fixed order: 64 in each of 10.77.0.0/16 to
 * 10.92.0.0/16. `slot` numbers them. With `subnet` the guests' subnet is that one, whatever is taken.
 */
export function* addressPlans(
  taken: readonly Network[],
  subnet?: string,
): Generator<{ readonly slot: number; readonly plan: AddressPlan }> {
  for (let slot = 0; slot < 16 * 64; slot++) {
    const block = 10 * 2 ** 24 + (77 + Math.floor(slot / 64)) * 2 ** 16
    const link: Network = { address: block + (slot % 64) * 4, prefix: 30 }
    const guests = subnet ?? `${formatAddress(block + (64 + (slot % 64)) * 256)}/24`
    const wanted = subnet === undefined ? [link, parseNetwork(guests)] : [link]
    if (taken.some((network) => wanted.some((candidate) => overlaps(network, candidate)))) continue
    yield {
      slot,
      plan: {
        hostAddress: formatAddress(link.address + 1),
        address: formatAddress(link.address + 2),
        linkPrefix: link.prefix,
        subnet: guests,
      },
    }
  }
}

function size(prefix: number): number {
  return 2 ** (32 - prefix)
}
