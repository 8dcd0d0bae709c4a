import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { run, runOrFail } from '../hypervisor/process.ts'
import { cpioArchive } from '../reference-image/cpio.ts'
import { type DebianPackage, describePackages, kernelOf, unpack } from '../reference-image/debian.ts'
import { KernelModules } from '../reference-image/kernel-modules.ts'
import { Tree } from '../reference-image/tree.ts'
import { cacheDirectory } from '../setup/directories.mjs'
import { withLock } from '../setup/lock.mjs'
import { dom0Packages, hypervisorPackage, kernelMetaPackage } from './packages.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

/** What a Xen host boots from. All are shared by every host that runs, and are not to be written to. */
export interface XenDisk {
  /** Xen itself, as an ELF file. */
  readonly hypervisor: string
  /** The kernel of dom0, uncompressed. */
  readonly kernel: string
  readonly initramfs: string
  /** The root file system of dom0, raw. */
  readonly root: string
}

/** Drivers that dom0 loads before it has its root file system, and after. */
const moduleGroups = {
  // ext4 asks for crc32c when it is loaded, without depending on it by name.
  initramfs: ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4'],
  dom0: [
    'virtio_net',
    'xen-evtchn',
    'xen-gntdev',
    'xen-gntalloc',
    'xen-privcmd',
    'xenfs',
    'xen-blkback',
    'xen-netback',
    // For dom0's own look into the disks of guests.
    'xen-blkfront',
    'loop',
    'bridge',
    'tun',
  ],
} as const

/** Room for the system and for guests' images. The file is sparse, and hosts write into a layer of their own. */
const rootSize = 2 * 2 ** 30

/**
 * The disk of a Xen host: from the cache, or built anew from Debian packages when anything has changed that it is made
 * of. Takes one to three minutes, 800 MB and root. `progress` hears one line for each step of a build.
 */
export async function xenDisk(progress: (step: string) => void): Promise<XenDisk> {
  const [hypervisor, ...installed] = await describePackages([hypervisorPackage, ...dom0Packages])
  const kernel = await kernelOf(kernelMetaPackage)
  if (hypervisor === undefined) throw new Error(`apt has no ${hypervisorPackage}`)
  const parent = join(cacheDirectory(), 'xen')
  const directory = join(parent, digestOf([hypervisor, kernel, ...installed]))
  const build = async () => {
    if (existsSync(directory)) return
    await buildDisk(directory, hypervisor, kernel, progress)
    // Of older packages. A host that still runs from there keeps its open files.
    for (const name of readdirSync(parent)) {
      if (!['lock', 'packages', basename(directory)].includes(name)) rmSync(join(parent, name), { recursive: true })
    }
  }
  if (!existsSync(directory)) await withLock(join(parent, 'lock'), build, () => progress('another process builds it'))
  return files(directory)
}

function files(directory: string): XenDisk {
  return {
    hypervisor: join(directory, 'xen'),
    kernel: join(directory, 'vmlinux'),
    initramfs: join(directory, 'initramfs.img'),
    root: join(directory, 'root.img'),
  }
}

/** Sixteen hexadecimal digits over all that decides what is on the disk. */
function digestOf(contents: readonly DebianPackage[]): string {
  const hash = createHash('sha256').update(
    JSON.stringify(contents.map(({ name, version, sha256 }) => [name, version, sha256])),
  )
  for (const name of ['disk.ts', 'initramfs/init']) hash.update(readFileSync(join(here, name)))
  return hash.digest('hex').slice(0, 16)
}

async function buildDisk(
  directory: string,
  hypervisor: DebianPackage,
  kernel: DebianPackage,
  progress: (step: string) => void,
): Promise<void> {
  const work = mkdtempSync(`${directory}.`)
  try {
    const built = join(work, 'built')
    mkdirSync(built)
    const { hypervisor: xen, kernel: vmlinux, initramfs, root } = files(built)

    progress('fetching Xen and the kernel')
    const unpacked = join(work, 'unpacked')
    await unpack([hypervisor, kernel], join(dirname(directory), 'packages'), unpacked)
    writeFileSync(xen, gunzipSync(readFileSync(onlyFile(join(unpacked, 'boot'), /^xen-.*-amd64\.gz$/))))
    await extractKernel(onlyFile(join(unpacked, 'boot'), /^vmlinuz-/), vmlinux)
    const modules = new KernelModules(join(unpacked, 'lib', 'modules'))

    progress('installing dom0 from Debian packages')
    const system = join(work, 'system')
    await installSystem(system)

    progress('writing the disk')
    writeFileSync(initramfs, cpioArchive(initramfsTree(join(system, 'bin', 'busybox'), modules, work)))
    arrangeSystem(system, modules)
    writeFileSync(root, '')
    truncateSync(root, rootSize)
    await runOrFail('/sbin/mke2fs', [
      ...['-q', '-F', '-t', 'ext4', '-m', '0', '-O', '^has_journal,^metadata_csum', '-d', system, root],
    ])
    renameSync(built, directory)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function onlyFile(directory: string, pattern: RegExp): string {
  const [name, ...others] = readdirSync(directory).filter((name) => pattern.test(name))
  if (name === undefined || others.length > 0) throw new Error(`not one file ${pattern} in ${directory}`)
  return join(directory, name)
}

/** Takes the kernel out of a bzImage: libxl and Xen would need 10 s for it at each start. */
async function extractKernel(image: string, path: string): Promise<void> {
  const content = readFileSync(image)
  const start = content.indexOf(Buffer.from('\xfd7zXZ\0', 'latin1'))
  if (start === -1) throw new Error(`${image} holds no kernel that is compressed by xz`)
  const compressed = `${path}.xz`
  writeFileSync(compressed, content.subarray(start))
  // What follows the stream in the bzImage is not its concern.
  await runOrFail('xz', ['--decompress', '--single-stream', '--quiet', compressed])
}

/** Installs Debian of this machine's release from this machine's own sources. */
async function installSystem(directory: string): Promise<void> {
  const release = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
  if (release === undefined) throw new Error('/etc/os-release names no release of Debian')
  const sources = ['/etc/apt/sources.list', ...listed('/etc/apt/sources.list.d')].filter((path) => existsSync(path))
  const leftOut = ['doc', 'man', 'info', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`)
  const { code, stderr } = await run('mmdebstrap', [
    ...['--quiet', '--variant=essential', '--mode=root', '--format=directory'],
    ...['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"', ...leftOut],
    `--include=${dom0Packages.join(',')}`,
    ...[release, directory, ...sources],
  ])
  if (code !== 0) throw new Error(`mmdebstrap: ${stderr.trim().slice(-2000)}`)
}

function listed(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => /\.(list|sources)$/.test(name))
    .map((name) => join(directory, name))
}

function initramfsTree(busybox: string, modules: KernelModules, work: string): Tree {
  const tree = new Tree()
  for (const path of ['/dev', '/proc', '/sys', '/root']) tree.directory(path)
  tree.file('/bin/busybox', busybox, 0o755).overlay(join(here, 'initramfs'))
  const order = modules.loadOrder(moduleGroups.initramfs)
  for (const path of order) tree.file(`/modules/${basename(path)}`, path, 0o644)
  const list = join(work, 'order')
  writeFileSync(list, order.map((path) => `${basename(path)}\n`).join(''))
  return tree.file('/modules/order', list, 0o644)
}

/** Makes of an installed Debian a dom0. */
function arrangeSystem(system: string, modules: KernelModules): void {
  rmSync(join(system, 'var/lib/apt/lists'), { recursive: true })

  const directory = join(system, 'lib/modules/dom0')
  mkdirSync(directory, { recursive: true })
  const loaded = new Set(modules.loadOrder(moduleGroups.initramfs))
  const order = modules.loadOrder(moduleGroups.dom0).filter((path) => !loaded.has(path))
  for (const path of order) copyFileSync(path, join(directory, basename(path)))
  writeFileSync(join(directory, 'order'), order.map((path) => `${basename(path)}\n`).join(''))

  // Its driver for QEMU needs a user that only the packages of QEMU's driver make; without it libvirtd would end.
  rmSync(join(system, 'usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so'), { force: true })
  // Xen hides SEP from dom0 on AMD's CPUs, which QEMU imitates; libvirt then finds no model that fits, and gives up.
  const model = join(system, 'usr/share/libvirt/cpu_map/x86_qemu64.xml')
  writeFileSync(model, readFileSync(model, 'utf8').replace(/^.*'sep'.*\n/m, ''))
  // Debian's libvirt looks for the device model of HVM guests where Debian's Xen does not have it.
  mkdirSync(join(system, 'usr/lib/xen/bin'), { recursive: true })
  symlinkSync('/usr/libexec/xen-qemu-system-i386', join(system, 'usr/lib/xen/bin/qemu-system-i386'))
}
