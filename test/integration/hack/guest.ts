import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import type { Hypervisor } from '../../../hack/hypervisor/index.ts'
import { type ProcessResult, run, runOrFail } from '../../../hack/hypervisor/process.ts'

/** How the seed reaches the guest: as a virtio disk of either file system, or as an IDE CD-ROM. */
export type SeedStyle = 'virtio iso9660' | 'virtio vfat' | 'IDE CD-ROM'

export interface Seed {
  readonly metaData: string
  readonly userData: string
  readonly vendorData?: string
}

export interface GuestOptions {
  readonly name: string
  readonly machine: 'pc' | 'q35'
  readonly seedStyle: SeedStyle
  readonly seed: Seed
  /** The disk image under the guest's own overlay. */
  readonly image: string
  readonly memoryMebibytes: number
  readonly cpus: number
}

/** Polls until `probe` answers something; fails after `limit` milliseconds, naming what was awaited. */
export async function eventually<T>(what: string, limit: number, probe: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + limit
  for (;;) {
    const found = await probe()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`waited ${limit} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Makes an SSH key pair; answers the private key's path, with `.pub` beside it. */
export async function sshKey(directory: string, name: string): Promise<{ path: string; publicKey: string }> {
  mkdirSync(directory, { recursive: true })
  const path = join(directory, name)
  await runOrFail('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path])
  return { path, publicKey: readFileSync(`${path}.pub`, 'utf8').trim() }
}

export async function writeSeed(hypervisor: Hypervisor, guest: string, style: SeedStyle, seed: Seed): Promise<string> {
  const directory = mkdtempSync(join(hypervisor.directory, 'seed.'))
  const files = {
    'meta-data': seed.metaData,
    'user-data': seed.userData,
    ...(seed.vendorData === undefined ? {} : { 'vendor-data': seed.vendorData }),
  }
  const paths = Object.entries(files).map(([name, content]) => {
    writeFileSync(join(directory, name), content)
    return join(directory, name)
  })
  const path = join(hypervisor.poolPath, `${guest}-seed.img`)
  if (style === 'virtio vfat') {
    await runOrFail('/sbin/mkfs.vfat', ['-C', '-n', 'CIDATA', `${directory}.img`, '360'])
    await runOrFail('mcopy', ['-i', `${directory}.img`, ...paths, '::'])
    await runOrFail('cp', [`${directory}.img`, path])
  } else {
    await runOrFail('genisoimage', ['-quiet', '-V', 'cidata', '-J', '-r', '-o', path, directory])
  }
  return path
}

/** Defines and starts a guest. */
export async function startGuest(hypervisor: Hypervisor, options: GuestOptions): Promise<void> {
  const { name, machine, image, seedStyle } = options
  const seed = await writeSeed(hypervisor, name, seedStyle, options.seed)
  const disk = join(hypervisor.poolPath, `${name}.qcow2`)
  await runOrFail('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', image, disk])
  const [device, bus, target] = seedStyle === 'IDE CD-ROM' ? ['cdrom', 'ide', 'hda'] : ['disk', 'virtio', 'vdb']
  const xml = join(hypervisor.directory, `${name}.xml`)
  writeFileSync(
    xml,
    `<domain type='qemu'><name>${name}</name>
<memory unit='MiB'>${options.memoryMebibytes}</memory><vcpu>${options.cpus}</vcpu>
<os><type arch='x86_64' machine='${machine}'>hvm</type></os><features><acpi/></features><cpu mode='maximum'/>
<devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
  <source file='${disk}'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='${device}'><driver name='qemu' type='raw'/>
  <source file='${seed}'/><target dev='${target}' bus='${bus}'/><readonly/></disk>
<interface type='network'><source network='${hypervisor.networkName}'/><model type='virtio'/></interface>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<serial type='file'><source path='${join(hypervisor.directory, `${name}.console`)}'/></serial>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
</devices></domain>`,
  )
  for (const args of [
    ['define', xml],
    ['start', name],
  ]) {
    await virshOrFail(hypervisor, args)
  }
}

export async function virshOrFail(hypervisor: Hypervisor, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await hypervisor.virsh(args)
  if (code !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr.trim()}`)
  return stdout
}

/** Waits for the guest's DHCP lease. */
export function guestAddress(hypervisor: Hypervisor, name: string): Promise<string> {
  return eventually(`a lease of ${name}`, 60_000, async () => {
    const { stdout } = await hypervisor.virsh(['domifaddr', name])
    return /(\d+\.\d+\.\d+\.\d+)\//.exec(stdout)?.[1]
  })
}

export async function waitForState(hypervisor: Hypervisor, name: string, state: string): Promise<void> {
  await eventually(`${name} to be ${state}`, 30_000, async () => {
    const { stdout } = await hypervisor.virsh(['domstate', name])
    return stdout.trim() === state ? true : undefined
  })
}

/** One command by plain ssh from the machine's own network namespace. Code 255 says that there was no session. */
export function ssh(key: string, login: string, command: string): Promise<ProcessResult> {
  const options = [
    ...['BatchMode=yes', 'ConnectTimeout=5', 'IdentitiesOnly=yes', 'LogLevel=ERROR'],
    ...['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null'],
  ]
  return run('ssh', ['-F', 'none', '-i', key, ...options.flatMap((option) => ['-o', option]), login, command])
}

/** Waits until the SSH server lets the key in; answers the output of `command`. */
export function sshEventually(key: string, login: string, command: string): Promise<string> {
  return eventually(`ssh ${login}`, 60_000, async () => {
    const { code, stdout } = await ssh(key, login, command)
    return code === 0 ? stdout : undefined
  })
}

/** Sends `text` to a TCP port and answers all that comes until the other side ends the connection. */
export function converse(address: string, port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // Half-open: the server has to end the conversation, not the end of what we send.
    const socket = createConnection({ host: address, port, allowHalfOpen: true })
    let received = ''
    socket.setTimeout(20_000, () => socket.destroy(new Error(`${address}:${port} did not end the connection`)))
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      received += chunk
    })
    socket.once('connect', () => socket.write(text))
    socket.once('end', () => {
      socket.destroy()
      resolve(received)
    })
    socket.once('error', reject)
  })
}
