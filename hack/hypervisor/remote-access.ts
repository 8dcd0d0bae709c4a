import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ProcessResult, type RunOptions, runOrFail } from './process.ts'

/** A user of the daemon's SASL database. */
export interface SaslUser {
  readonly username: string
  readonly password: string
}

/** How to log in at the hypervisor's SSH server. */
export interface SshAccess {
  readonly port: number
  readonly username: string
  readonly password: string
  /** Paths of private keys: one that is admitted, the same encrypted with `passphrase`, and one that is not admitted. */
  readonly privateKey: string
  readonly encryptedKey: string
  readonly passphrase: string
  readonly strangerKey: string
  /** In the format of a known_hosts file. */
  readonly knownHosts: string
}

const realm = 'berth'
const sshPort = 2222

/** Where the daemon finds Cyrus SASL's configuration, as it sees the hypervisor's directory. */
export const saslEnvironment = { SASL_CONF_PATH: '/etc/libvirt/sasl2' } as const

/** Makes a SASL database with one user, and the configuration that has libvirtd ask it by SCRAM. */
export async function setUpSasl(directory: string, { username, password }: SaslUser): Promise<void> {
  const folder = join(directory, 'etc', 'sasl2')
  mkdirSync(folder)
  const [name = '', userRealm = realm] = username.split('@')
  const database = ['-f', join(folder, 'users.db'), '-a', 'libvirt', '-u', userRealm]
  await runOrFail('saslpasswd2', ['-c', '-p', ...database, name], { input: password })
  writeFileSync(
    join(folder, 'libvirt.conf'),
    `mech_list: scram-sha-256 plain\nsasldb_path: ${saslEnvironment.SASL_CONF_PATH}/users.db\n`,
  )
}

/**
 * Starts an OpenSSH server inside the hypervisor's namespaces. Its root has a password of its own: the machine's
 * /etc/shadow is neither changed nor read.
 */
export async function startSsh(
  directory: string,
  address: string,
  inside: (command: string, args: readonly string[], options?: RunOptions) => Promise<ProcessResult>,
): Promise<SshAccess> {
  const folder = join(directory, 'ssh')
  mkdirSync(folder, { mode: 0o700 })
  const path = (name: string) => join(folder, name)
  const passphrase = 'open sesame'
  const newKey = (name: string, secret = '') =>
    runOrFail('ssh-keygen', ['-q', '-t', 'ed25519', '-N', secret, '-C', name, '-f', path(name)])
  await Promise.all([newKey('host'), newKey('client'), newKey('encrypted', passphrase), newKey('stranger')])
  const publicKey = (name: string) => readFileSync(path(`${name}.pub`), 'utf8')
  // As docs/operations.md advises.
  const options = 'restrict,port-forwarding'
  const admitted = [publicKey('client'), publicKey('encrypted')]
  writeFileSync(path('authorized_keys'), admitted.map((key) => `${options} ${key}`).join(''))

  const password = 'correct horse'
  const hash = (await runOrFail('openssl', ['passwd', '-6', password])).trim()
  writeFileSync(path('shadow'), `root:${hash}:19000:0:99999:7:::\n`, { mode: 0o600 })
  writeFileSync(
    path('sshd_config'),
    [
      `ListenAddress ${address}:${sshPort}`,
      `HostKey ${path('host')}`,
      `AuthorizedKeysFile ${path('authorized_keys')}`,
      `PidFile ${path('pid')}`,
      'PermitRootLogin yes',
      'StrictModes no',
      'UsePAM no',
      '',
    ].join('\n'),
  )
  const script = 'mount --bind "$1/shadow" /etc/shadow && mkdir -p /run/sshd && /usr/sbin/sshd -f "$1/sshd_config"'
  const { code, stderr } = await inside('sh', ['-ec', script, 'sh', folder])
  if (code !== 0) throw new Error(`sshd: ${stderr.trim()}`)
  return {
    port: sshPort,
    username: 'root',
    password,
    privateKey: path('client'),
    encryptedKey: path('encrypted'),
    passphrase,
    strangerKey: path('stranger'),
    knownHosts: `[${address}]:${sshPort} ${publicKey('host')}`,
  }
}
