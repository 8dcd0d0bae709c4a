import { randomBytes, randomUUID } from 'node:crypto'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../control-plane/port.ts'
import { libvirtdConfiguration, networkName, networkXml, poolName, poolXml } from '../hypervisor/configuration.ts'
import type { ClientCertificate } from '../hypervisor/index.ts'
import { createPki, type Pki } from '../hypervisor/pki.ts'
import { type ProcessResult, type RunOptions, run, runOrFail } from '../hypervisor/process.ts'
import { xenDisk } from './disk.ts'
import { claimDirectory, removeLeftovers } from './leftovers.ts'
import { QemuProcess } from './qemu.ts'

export interface XenOptions {
  /** The host's name: lower-case letters, digits and dashes. Need not be unique. */
  readonly name: string
  /** Hears one line for each step that takes long, such as the build of the disk. */
  readonly progress?: (step: string) => void
}

/** How to reach a Xen host that runs: plain data, for other processes too. */
export interface XenAccess {
  readonly name: string
  /** URI of its libvirtd by TLS, on this machine's loopback. */
  readonly tlsUri: string
  readonly pki: ClientCertificate & { readonly ca: string }
  /** How to get a root shell in dom0. */
  readonly ssh: { readonly port: number; readonly key: string; readonly knownHosts: string }
  /** The libvirt network with DHCP, within the host alone. */
  readonly networkName: string
  /** The libvirt storage pool, with a GiB of room. */
  readonly poolName: string
  /** Its directory on the host. */
  readonly poolPath: string
}

/** A Xen host with Debian as dom0 and libvirt's libxl driver, inside a QEMU process. */
export interface Xen extends XenAccess {
  /** Runs virsh against this host. A failed command is a result, not an error. */
  virsh(args: readonly string[]): Promise<ProcessResult>
  /** Runs a shell command in dom0, as root. */
  run(command: string, options?: RunOptions): Promise<ProcessResult>
  /** Stops libvirtd and starts it anew. Guests keep running. */
  restartDaemon(): Promise<void>
}

/** One that this process started. It ends with this process, however that ends. */
export interface StartedXen extends Xen {
  /** Cuts its power and removes everything of it. Calling it again does nothing. */
  stop(): Promise<void>
}

const here = fileURLToPath(new URL('.', import.meta.url))

const poolPath = '/var/lib/libvirt/images'
const pidFile = '/run/libvirt/libvirtd.pid'
const paths = { ca: '/etc/pki/CA/cacert.pem', certificate: '/etc/pki/libvirt/servercert.pem' } as const
const serverKey = '/etc/pki/libvirt/private/serverkey.pem'

/**
 * Starts a real Xen host. Needs Debian 12 on amd64, root, the packages listed in packages.mjs, 2 GB of memory, and once
 * a build of one to three minutes. As many run side by side as there is memory for.
 */
export async function startXen({ name, progress = () => undefined }: XenOptions): Promise<StartedXen> {
  checkPrerequisites(name)
  removeLeftovers()
  const disk = await xenDisk(progress)
  const directory = claimDirectory(`${name}-${randomBytes(3).toString('hex')}`)
  let qemu: QemuProcess | undefined
  const stop = async () => {
    await qemu?.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const pki = await createPki(join(directory, 'pki'), '127.0.0.1')
    const ports = { tls: await freePort(), ssh: await freePort() }
    const ssh = await createSSHKeys(directory, ports.ssh)
    const configuration = await writeConfiguration(directory, name, pki, ssh)
    progress('starting Xen')
    const again = ({ message }: Error) => progress(`${message}\nstarting Xen once more`)
    qemu = await QemuProcess.start({ disk, configuration, ports }, again)
    const xen = reachXen(accessTo(name, pki, ports, ssh))
    await defineDefaults(xen, directory)
    return { ...xen, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function checkPrerequisites(name: string): void {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new RangeError(`'${name}' is no name for a host: up to 32 lower-case letters, digits and dashes`)
  }
  if (process.platform !== 'linux' || process.arch !== 'x64' || process.getuid?.() !== 0) {
    throw new Error('a local Xen host needs Linux on amd64, and root to install its dom0')
  }
  const programs = ['/usr/bin/qemu-system-x86_64', '/usr/bin/mmdebstrap', '/usr/bin/virsh', '/usr/bin/ssh']
  const missing = programs.filter((path) => !existsSync(path))
  if (missing.length > 0) {
    throw new Error(`a local Xen host needs ${missing.join(', ')}: install the packages of hack/xen/packages.mjs`)
  }
}

interface SSHKeys {
  readonly key: string
  readonly hostKey: string
  readonly knownHosts: string
}

async function createSSHKeys(directory: string, port: number): Promise<SSHKeys> {
  const keys = { key: join(directory, 'client-key'), hostKey: join(directory, 'host-key') }
  for (const file of Object.values(keys)) {
    await runOrFail('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'berth', '-f', file])
  }
  const knownHosts = join(directory, 'known-hosts')
  writeFileSync(knownHosts, `[127.0.0.1]:${port} ${readFileSync(`${keys.hostKey}.pub`, 'utf8')}`)
  return { ...keys, knownHosts }
}

/** A tar archive of what this host has for itself; answers its path. */
async function writeConfiguration(directory: string, name: string, pki: Pki, ssh: SSHKeys): Promise<string> {
  const root = join(directory, 'root')
  const put = (path: string, mode: number, write: (file: string) => void) => {
    const file = join(root, path)
    mkdirSync(join(file, '..'), { recursive: true })
    write(file)
    chmodSync(file, mode)
  }
  const text = (content: string) => (file: string) => writeFileSync(file, content)
  const copy = (source: string) => (file: string) => copyFileSync(source, file)
  const settings = libvirtdConfiguration(randomUUID(), {
    address: '0.0.0.0',
    tcp: false,
    sasl: false,
    pki: { ...pki, ca: paths.ca, server: { certificate: paths.certificate, key: serverKey } },
  })
  put('etc/hostname', 0o644, text(`${name}\n`))
  put('etc/hosts', 0o644, text(`127.0.0.1 localhost ${name}\n`))
  put('etc/libvirt/libvirtd.conf', 0o644, text(settings))
  put(paths.ca, 0o644, copy(pki.ca))
  put(paths.certificate, 0o644, copy(pki.server.certificate))
  put(serverKey, 0o600, copy(pki.server.key))
  put('etc/dropbear/host-key', 0o600, copy(ssh.hostKey))
  put('root/.ssh/authorized_keys', 0o600, copy(`${ssh.key}.pub`))
  // dropbear takes keys only from directories that nobody else may write to.
  for (const path of ['root/.ssh', 'root']) chmodSync(join(root, path), 0o700)
  chmodSync(root, 0o755)
  put('usr/sbin/dom0-init', 0o755, copy(join(here, 'dom0-init')))
  put('etc/xen/scripts/vif-bridge', 0o755, copy(join(here, 'vif-bridge')))
  const archive = join(directory, 'configuration.tar')
  await runOrFail('tar', ['--create', '--file', archive, '--owner=0', '--group=0', '--directory', root, '.'])
  return archive
}

function accessTo(
  name: string,
  { ca, client }: Pki,
  ports: { readonly tls: number; readonly ssh: number },
  { key, knownHosts }: SSHKeys,
): XenAccess {
  return {
    name,
    tlsUri: `xen+tls://127.0.0.1:${ports.tls}/system`,
    pki: { ca, clientCertificate: client.certificate, clientKey: client.key, directory: client.directory },
    ssh: { port: ports.ssh, key, knownHosts },
    networkName,
    poolName,
    poolPath,
  }
}

/** What can be done with a host that runs, whichever process started it. */
export function reachXen(access: XenAccess): Xen {
  const { name, tlsUri, pki, ssh } = access
  const login = ['-i', ssh.key, '-o', `UserKnownHostsFile=${ssh.knownHosts}`, '-o', 'BatchMode=yes']
  const runInside = (command: string, options?: RunOptions) =>
    run('ssh', [...login, '-p', String(ssh.port), 'root@127.0.0.1', command], options)
  return {
    ...access,
    virsh: (args) => run('virsh', ['-q', '-c', `${tlsUri}?pkipath=${pki.directory}`, ...args]),
    run: runInside,
    async restartDaemon() {
      const { code, stderr } = await runInside(
        `pid=$(cat ${pidFile}) && kill $pid && while kill -0 $pid 2>/dev/null; do busybox usleep 50000; done
         libvirtd --daemon --listen --pid-file ${pidFile}`,
      )
      if (code !== 0) throw new Error(`libvirtd of Xen host ${name}: ${stderr.trim()}`)
    },
  }
}

async function defineDefaults(xen: Xen, directory: string): Promise<void> {
  const network = join(directory, 'network.xml')
  const pool = join(directory, 'pool.xml')
  writeFileSync(network, networkXml({ subnet: '10.99.0.0/24' }))
  writeFileSync(pool, poolXml(poolPath))
  const { code, stderr } = await xen.virsh([
    [
      `net-define ${network}; net-autostart ${networkName}; net-start ${networkName}`,
      `pool-define ${pool}; pool-autostart ${poolName}; pool-start ${poolName}`,
    ].join('; '),
  ])
  if (code !== 0) throw new Error(`the network and pool of Xen host ${xen.name}: ${stderr.trim()}`)
}
