import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type AddressPlan, addressPlans, parseNetwork } from './address.ts'
import { publishCapabilities, seedCapabilities } from './capabilities.ts'
import { markerName, removeLeftovers } from './cleanup.ts'
import {
  libvirtdConfiguration,
  networkName,
  networkXml,
  poolName,
  poolXml,
  qemuConfiguration,
  tcpPort,
  tlsPort,
} from './configuration.ts'
import { createNamespaces, type Namespaces } from './namespace.ts'
import { createPki } from './pki.ts'
import { identifyProcess, type ProcessResult, type RunOptions, run, runOrFail } from './process.ts'
import { type InstanceRecord, recordPath, runDirectory, writeRecord } from './records.ts'
import { type SaslUser, type SshAccess, saslEnvironment, setUpSasl, startSsh } from './remote-access.ts'

export { type Accelerator, detectAccelerator } from './accelerator.ts'
export { removeLeftovers } from './cleanup.ts'
export type { ProcessResult, RunOptions } from './process.ts'
export type { SaslUser, SshAccess } from './remote-access.ts'

export interface HypervisorOptions {
  /** A short name of lower-case letters, digits and dashes; also the host name. Need not be unique. */
  readonly name: string
  /** Where everything of the hypervisor lies. Must be absent or empty; is removed by `stop`. By default a new one. */
  readonly directory?: string
  /** The guests' subnet in CIDR notation. By default a free /24 of 10.77.0.0/16 and the fifteen networks after it. */
  readonly subnet?: string
  /** Has libvirtd listen on TCP as well, unencrypted. */
  readonly tcp?: boolean
  /** Has TLS and TCP demand this user (SASL). */
  readonly sasl?: SaslUser
  /** Starts an SSH server there. */
  readonly ssh?: boolean
}

/** A TLS client certificate with its key, as paths of PEM files. */
export interface ClientCertificate {
  readonly clientCertificate: string
  readonly clientKey: string
  /** The same together with the authority under the names that virsh's `pkipath=` wants. */
  readonly directory: string
}

/** A running libvirt daemon with QEMU in namespaces of its own. All paths are the same inside and outside of them. */
export interface Hypervisor {
  readonly name: string
  readonly directory: string
  readonly socketPath: string
  /** The URI of the daemon's unix socket, for this machine. */
  readonly uri: string
  /** The URI of the daemon's TLS listener, reachable from the machine's own network namespace. */
  readonly tlsUri: string
  /** The URI of the daemon's TCP listener, where it has one. */
  readonly tcpUri: string
  /** The URI by SSH, and how to log in, where there is an SSH server. */
  readonly ssh: (SshAccess & { readonly uri: string }) | undefined
  readonly pki: ClientCertificate & {
    readonly ca: string
    /** Of the same authority, but not on the daemon's list: it is to be refused. */
    readonly unlisted: ClientCertificate
  }
  /** The name known to `ip netns`. */
  readonly networkNamespace: string
  /** The hypervisor's address as the machine sees it. */
  readonly address: string
  /** The machine's address as the hypervisor and its guests see it. */
  readonly hostAddress: string
  /** The guests' subnet in CIDR notation; the machine has a route to it. */
  readonly subnet: string
  /** The libvirt network with DHCP on `subnet`. */
  readonly networkName: string
  /** The libvirt storage pool at `poolPath`. */
  readonly poolName: string
  readonly poolPath: string
  /** Runs virsh against this hypervisor. A failed command is a result, not an error. */
  virsh(args: readonly string[]): Promise<ProcessResult>
  /** Runs a program inside the hypervisor's network, mount and PID namespaces. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<ProcessResult>
  /** Stops libvirtd, if it runs, and starts it anew. Guests keep running. */
  restartDaemon(): Promise<void>
  /** Kills libvirtd and leaves it down, as a crash does. Guests keep running. */
  killDaemon(): Promise<void>
  /** Ends the guests and daemons and removes everything of the hypervisor. Calling it again does nothing. */
  stop(): Promise<void>
}

const pidFile = '/run/libvirt/libvirtd.pid'

/**
 * Starts a private libvirt daemon with QEMU. Needs Linux, root, and the packages listed in packages.mjs.
 * The machine's own libvirt, if there is one, its files and its networks are not touched. Everything ends with this
 * process, however that ends.
 */
export async function startHypervisor(options: HypervisorOptions): Promise<Hypervisor> {
  checkPrerequisites(options)
  await removeLeftovers()

  const id = `${options.name}-${randomBytes(3).toString('hex')}`
  const directory = prepareDirectory(resolve(options.directory ?? join(runDirectory(), id)))
  const networkNamespace = `berth-${id}`
  const owner = identifyProcess(process.pid)
  if (owner === undefined) throw new Error('/proc does not show this process')
  const unstarted: InstanceRecord = { id, owner, directory, networkNamespace }
  writeRecord(unstarted)

  const namespaces = await createNamespaces({ id, directory, record: recordPath(id), hostname: options.name })
  try {
    const record = { ...unstarted, init: namespaces.init }
    writeRecord(record)
    return await setUp(options, record, namespaces)
  } catch (error) {
    await namespaces.release()
    throw error
  }
}

async function setUp(
  { name, subnet, tcp = false, sasl, ssh = false }: HypervisorOptions,
  record: InstanceRecord & Required<Pick<InstanceRecord, 'init'>>,
  namespaces: Namespaces,
): Promise<Hypervisor> {
  const { directory, networkNamespace, init } = record
  await runOrFail('ip', ['netns', 'attach', networkNamespace, String(init.pid)])
  const { plan, hostInterface } = await linkToMachine(init.pid, directory, subnet)
  writeRecord({ ...record, hostInterface })

  const pki = await createPki(join(directory, 'pki'), plan.address)
  writeFileSync(
    join(directory, 'etc', 'libvirtd.conf'),
    libvirtdConfiguration(randomUUID(), { address: plan.address, pki, tcp, sasl: sasl !== undefined }),
  )
  if (sasl !== undefined) await setUpSasl(directory, sasl)
  writeFileSync(join(directory, 'etc', 'qemu.conf'), qemuConfiguration())
  const seeded = seedCapabilities(join(directory, 'cache'))

  const socketPath = join(directory, 'run', 'libvirt-sock')
  const uri = `qemu+unix:///system?socket=${socketPath}`
  const inside = (command: string, args: readonly string[], runOptions?: RunOptions) =>
    run('nsenter', [`--target=${init.pid}`, '--mount', '--net', '--pid', '--uts', '--', command, ...args], runOptions)
  const insideOrFail = async (command: string, args: readonly string[]) => {
    const result = await inside(command, args)
    if (result.code !== 0) throw new Error(`${command} in hypervisor ${name}: ${result.stderr.trim()}`)
  }
  const virsh = (args: readonly string[]) => run('virsh', ['-q', '-c', uri, ...args])

  const startDaemon = async () => {
    // The command returns when the sockets listen: later connections wait until the drivers are ready.
    const { code, stderr } = await inside('libvirtd', ['--daemon', '--listen', '--pid-file', pidFile], {
      env: saslEnvironment,
    })
    if (code === 0) return
    throw new Error(`libvirtd of hypervisor ${name}: ${stderr.trim()}\n${daemonLog(directory)}`)
  }
  const endDaemon = (signal: 'TERM' | 'KILL') =>
    insideOrFail('bash', [
      '-c',
      `pid=$(cat ${pidFile} 2>/dev/null) || exit 0
       kill -${signal} "$pid" 2>/dev/null
       while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
       rm -f ${pidFile}`,
    ])

  await insideOrFail('virtlogd', ['--daemon', '--pid-file', '/run/libvirt/virtlogd.pid'])
  await startDaemon()
  const sshAccess = ssh ? await startSsh(directory, plan.address, inside) : undefined
  const poolPath = join(directory, 'images')
  await defineDefaults(virsh, plan, directory, poolPath)
  if (!seeded) {
    // Has the daemon probe each QEMU now, so that no later caller waits for it.
    await virsh(['capabilities'])
    publishCapabilities(join(directory, 'cache'))
  }

  let stopping: Promise<void> | undefined
  return {
    name,
    directory,
    socketPath,
    uri,
    tlsUri: `qemu+tls://${plan.address}:${tlsPort}/system`,
    tcpUri: `qemu+tcp://${plan.address}:${tcpPort}/system`,
    ssh: sshAccess && {
      ...sshAccess,
      uri: `qemu+ssh://${sshAccess.username}@${plan.address}:${sshAccess.port}/system`,
    },
    pki: {
      ca: pki.ca,
      clientCertificate: pki.client.certificate,
      clientKey: pki.client.key,
      directory: pki.client.directory,
      unlisted: {
        clientCertificate: pki.unlistedClient.certificate,
        clientKey: pki.unlistedClient.key,
        directory: pki.unlistedClient.directory,
      },
    },
    networkNamespace,
    address: plan.address,
    hostAddress: plan.hostAddress,
    subnet: plan.subnet,
    networkName,
    poolName,
    poolPath,
    virsh,
    run: inside,
    async restartDaemon() {
      await endDaemon('TERM')
      await startDaemon()
    },
    killDaemon: () => endDaemon('KILL'),
    stop() {
      // The daemon has probed again if the kept capabilities were of an older QEMU.
      if (stopping === undefined) publishCapabilities(join(directory, 'cache'))
      stopping ??= namespaces.release()
      return stopping
    },
  }
}

function checkPrerequisites({ name }: HypervisorOptions): void {
  if (!/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/.test(name)) {
    throw new RangeError(`'${name}' is no name for a hypervisor: up to 32 lower-case letters, digits and dashes`)
  }
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Error('a local hypervisor needs Linux and root, for network namespaces')
  }
  const missing = ['/usr/sbin/libvirtd', '/usr/sbin/virtlogd', '/usr/bin/virsh', '/usr/sbin/dnsmasq'].filter(
    (path) => !existsSync(path),
  )
  if (missing.length > 0) {
    throw new Error(
      `a local hypervisor needs ${missing.join(', ')}: install the packages of hack/hypervisor/packages.mjs`,
    )
  }
}

function prepareDirectory(directory: string): string {
  if (!/^[\w./-]+$/.test(directory)) {
    throw new RangeError(`'${directory}': a hypervisor's directory has letters, digits and . _ - / only`)
  }
  // Those places look different inside, and guests' files must have one path.
  if (/^\/(run|sys|proc|(var\/(lib|log|cache)|etc)\/libvirt)(\/|$)/.test(directory)) {
    throw new RangeError(`'${directory}': a hypervisor's directory cannot lie in /run, /sys, /proc or libvirt's own`)
  }
  // The limit of sun_path is 107 bytes.
  if (directory.length > 107 - '/run/libvirt-sock'.length) {
    throw new RangeError(`'${directory}' is too long a path for a unix socket in it`)
  }
  if (existsSync(directory) && readdirSync(directory).length > 0) throw new Error(`'${directory}' is not empty`)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, markerName), '')
  for (const part of ['run', 'etc', 'lib', 'log', 'cache', 'images']) mkdirSync(join(directory, part))
  return directory
}

/**
 * Connects the namespace with the machine by a veth pair, and routes the guests' subnet over it. The numbered name of
 * the pair is the lock against other processes: the kernel makes it once.
 */
async function linkToMachine(
  initPid: number,
  directory: string,
  subnet: string | undefined,
): Promise<{ plan: AddressPlan; hostInterface: string }> {
  const inNamespace = ['nsenter', `--target=${initPid}`, '--net', '--mount', '--', 'sh', '-c'] as const
  const routes = JSON.parse(await runOrFail('ip', ['-4', '-json', 'route', 'show', 'table', 'all'])) as {
    dst: string
  }[]
  const taken = routes.filter(({ dst }) => /^\d/.test(dst)).map(({ dst }) => parseNetwork(dst))
  for (const { slot, plan } of addressPlans(taken, subnet)) {
    const hostInterface = `berth${slot}`
    const peer = ['peer', 'name', 'uplink', 'netns', String(initPid)]
    const created = await run('ip', ['link', 'add', hostInterface, 'type', 'veth', ...peer])
    if (created.code !== 0) {
      if (created.stderr.includes('File exists')) continue
      throw new Error(`ip link add ${hostInterface}: ${created.stderr.trim()}`)
    }
    writeFileSync(join(directory, 'host-interface'), hostInterface)
    await runOrFail('ip', ['address', 'add', `${plan.hostAddress}/${plan.linkPrefix}`, 'dev', hostInterface])
    await runOrFail('ip', ['link', 'set', hostInterface, 'up'])
    await runOrFail(inNamespace[0], [
      ...inNamespace.slice(1),
      `ip address add ${plan.address}/${plan.linkPrefix} dev uplink && ip link set uplink up &&
       echo 1 > /proc/sys/net/ipv4/ip_forward`,
    ])
    await runOrFail('ip', ['route', 'add', plan.subnet, 'via', plan.address, 'dev', hostInterface])
    return { plan, hostInterface }
  }
  throw new Error('no free address block for a local hypervisor in 10.77.0.0 to 10.92.255.255')
}

async function defineDefaults(
  virsh: Hypervisor['virsh'],
  plan: AddressPlan,
  directory: string,
  poolPath: string,
): Promise<void> {
  const network = join(directory, 'etc', 'default-network.xml')
  const pool = join(directory, 'etc', 'default-pool.xml')
  writeFileSync(network, networkXml(plan))
  writeFileSync(pool, poolXml(poolPath))
  const defined = await virsh([
    [
      `net-define ${network}; net-autostart ${networkName}; net-start ${networkName}`,
      `pool-define ${pool}; pool-autostart ${poolName}; pool-start ${poolName}`,
    ].join('; '),
  ])
  if (defined.code !== 0)
    throw new Error(`the hypervisor's network and pool: ${defined.stderr.trim()}\n${daemonLog(directory)}`)
}

/** The daemon's last words, for errors: the directory, with the log, is gone by the time that they are read. */
function daemonLog(directory: string): string {
  return readFileSync(join(directory, 'log', 'libvirtd.log'), { encoding: 'utf8', flag: 'a+' }).slice(-2000)
}
