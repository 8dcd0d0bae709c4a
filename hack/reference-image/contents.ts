import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runOrFail } from '../hypervisor/process.ts'
import { KernelModules, moduleGroups } from './kernel-modules.ts'
import { Tree } from './tree.ts'

const here = fileURLToPath(new URL('.', import.meta.url))

const programs = ['/usr/sbin/dropbear', '/usr/bin/dropbearkey', '/usr/bin/tcpserver', '/usr/sbin/qemu-ga']

/** What the image is made of: a kernel file, the tree of its initramfs, and that of its root file system. */
export interface ImageContents {
  readonly kernel: string
  readonly initramfs: Tree
  readonly root: Tree
}

/** Arranges the unpacked packages in `files` and the overlays of this folder. Lists made go to `work`. */
export async function arrangeContents(files: string, work: string): Promise<ImageContents> {
  mkdirSync(work, { recursive: true })
  const busybox = join(files, 'bin', 'busybox')
  const [release] = readdirSync(join(files, 'lib', 'modules'))
  if (release === undefined) throw new Error('the kernel package holds no modules')
  const modules = new KernelModules(join(files, 'lib', 'modules', release))

  const initramfs = new Tree()
  for (const path of ['/dev', '/proc', '/sys', '/root']) initramfs.directory(path)
  initramfs.file('/bin/busybox', busybox, 0o755).overlay(join(here, 'initramfs'))
  addModules(initramfs, '/modules', modules, ['virtio', 'xen', 'scsi'], work)

  const root = new Tree()
  for (const path of [
    '/dev',
    '/mnt',
    '/proc',
    '/run',
    '/sys',
    '/home',
    '/etc/dropbear',
    '/var/lib/cloud',
    '/var/log',
  ]) {
    root.directory(path)
  }
  root.directory('/root', 0o700).directory('/tmp', 0o1777).link('/var/run', '/run')
  root.file('/bin/busybox', busybox, 0o755)
  for (const applet of (await runOrFail(busybox, ['--list'])).trim().split('\n')) {
    if (applet !== 'busybox') root.link(`/bin/${applet}`, 'busybox')
  }
  // Where the kernel calls them when Xen asks for a shutdown or a reboot.
  for (const program of ['poweroff', 'reboot']) root.link(`/sbin/${program}`, '../bin/busybox')
  // Where the guest agent looks for it when it is to set the clock.
  root.link('/sbin/hwclock', '../bin/busybox')
  for (const program of programs) {
    root.file(program, join(files, program), 0o755)
    for (const [path, source] of await libraries(files, program)) root.file(path, source, 0o755)
  }
  // The C library loads it by name to look users up.
  const nss = '/lib/x86_64-linux-gnu/libnss_files.so.2'
  root.file(nss, join(files, nss), 0o644)
  addModules(root, '/lib/modules', modules, ['net', 'seed', 'scsi', 'devices'], work)
  root.overlay(join(here, 'rootfs'))

  return { kernel: join(files, 'boot', `vmlinuz-${release}`), initramfs, root }
}

function addModules(
  tree: Tree,
  directory: string,
  modules: KernelModules,
  groups: readonly (keyof typeof moduleGroups)[],
  work: string,
): void {
  for (const group of groups) {
    const order = modules.loadOrder(moduleGroups[group])
    for (const path of order) tree.file(`${directory}/${basename(path)}`, path, 0o644)
    const list = join(work, `modules-${group}`)
    writeFileSync(list, order.map((path) => `${basename(path)}\n`).join(''))
    tree.file(`${directory}/${group}`, list, 0o644)
  }
}

/** The shared libraries of a program, as [path in the image, source], from the unpacked packages alone. */
async function libraries(files: string, program: string): Promise<(readonly [string, string])[]> {
  const loader = join(files, 'lib64', 'ld-linux-x86-64.so.2')
  const search = ['lib', 'usr/lib'].map((path) => join(files, path, 'x86_64-linux-gnu')).join(':')
  const listed = await runOrFail(loader, ['--library-path', search, '--list', join(files, program)])
  return [...listed.matchAll(/=> (\S+) \(/g)].map(([, source = '']) => {
    if (!source.startsWith(files)) throw new Error(`${program} needs ${source}, which is in no package of packages.mjs`)
    return [source.slice(files.length), source] as const
  })
}
