import { createHmac } from 'node:crypto'

/** What a known_hosts text says of one host. */
export interface HostKeys {
  /** Keys that the host may show. */
  readonly known: readonly HostKey[]
  /** Keys that it must not show, whatever else is said. */
  readonly revoked: readonly HostKey[]
}

export interface HostKey {
  /** `ssh-ed25519`, … */
  readonly type: string
  readonly blob: Buffer
}

/**
 * Finds a host in a text of OpenSSH's known_hosts format (sshd(8)): names, patterns, hashed names, `[host]:port` for
 * ports other than 22, and `@revoked`. Lines with `@cert-authority` are left out, as certificates of hosts are not
 * supported; so are lines that cannot be read: neither gives trust.
 */
export const hostKeys = (text: string, host: string, port: number): HostKeys => {
  const name = (port === 22 ? host : `[${host}]:${port}`).toLowerCase()
  const known: HostKey[] = []
  const revoked: HostKey[] = []
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/)
    const marker = fields[0]?.startsWith('@') ? fields.shift() : undefined
    const [hosts, type, key] = fields
    if (hosts === undefined || hosts.startsWith('#') || type === undefined || key === undefined) continue
    if (!matches(hosts, name)) continue
    const hostKey = { type, blob: Buffer.from(key, 'base64') }
    if (marker === undefined) known.push(hostKey)
    else if (marker === '@revoked') revoked.push(hostKey)
  }
  return { known, revoked }
}

const matches = (hosts: string, name: string): boolean => {
  if (hosts.startsWith('|')) return matchesHash(hosts, name)
  let found = false
  for (const pattern of hosts.toLowerCase().split(',')) {
    if (pattern.startsWith('!')) {
      if (matchesPattern(pattern.slice(1), name)) return false
    } else {
      found ||= matchesPattern(pattern, name)
    }
  }
  return found
}

const matchesHash = (hashed: string, name: string): boolean => {
  const [, version, salt = '', hash] = hashed.split('|')
  if (version !== '1' || hash === undefined) return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}

const matchesPattern = (pattern: string, name: string): boolean => {
  const expression = pattern
    .replaceAll(/[\\^$+.()|[\]{}]/g, '\\$&')
    .replaceAll(/\*+/g, '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${expression}$`).test(name)
}
