import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory } from '../setup/directories.mjs'

/**
 * libvirt's cache of what each QEMU binary can do, kept between hypervisors: probing anew takes about 12 s. libvirt
 * checks each file itself against its own version, the binary, the kernel and the CPU. It does not write a file in one
 * step, so each daemon works on a copy, and whole files go back by rename.
 */
function sharedCapabilities(): string {
  return join(cacheDirectory(), 'libvirt-capabilities')
}

function ownCapabilities(libvirtCache: string): string {
  return join(libvirtCache, 'qemu', 'capabilities')
}

/** Fills a new daemon's cache, before the daemon's start. Answers whether there was anything to fill it with. */
export function seedCapabilities(libvirtCache: string): boolean {
  return copyFiles(sharedCapabilities(), ownCapabilities(libvirtCache)) > 0
}

/** Keeps what a daemon found, once it has answered a question for its capabilities: then probing is over. */
export function publishCapabilities(libvirtCache: string): void {
  copyFiles(ownCapabilities(libvirtCache), sharedCapabilities())
}

function copyFiles(from: string, to: string): number {
  if (!existsSync(from)) return 0
  mkdirSync(to, { recursive: true })
  const names = readdirSync(from).filter((name) => name.endsWith('.xml'))
  for (const name of names) {
    const unfinished = join(to, `${name}.${process.pid}`)
    copyFileSync(join(from, name), unfinished)
    renameSync(unfinished, join(to, name))
  }
  return names.length
}
