import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** The drivers of the guest by the moment at which they are loaded. */
export const moduleGroups = {
  virtio: ['virtio_pci', 'virtio_blk'],
  xen: ['xen-blkfront'],
  scsi: ['virtio_scsi', 'sd_mod', 'sr_mod', 'ata_generic', 'ata_piix'],
  net: ['virtio_net', 'xen-netfront'],
  seed: ['isofs', 'vfat', 'nls_ascii', 'nls_cp437', 'nls_iso8859-1', 'nls_utf8'],
  devices: ['button', 'evdev', 'virtio_console', 'virtio-rng', 'virtio_balloon', 'pvpanic', 'pvpanic-mmio'],
} as const

/** The modules of one kernel, with the dependencies that they state in their .modinfo section. */
export class KernelModules {
  readonly #paths = new Map<string, string>()

  constructor(directory: string) {
    for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.name.endsWith('.ko')) continue
      this.#paths.set(canonical(basename(entry.name, '.ko')), join(entry.parentPath, entry.name))
    }
    if (this.#paths.size === 0) throw new Error(`no uncompressed kernel modules in ${directory}`)
  }

  /**
   * The files of the named modules and all that they need, each after those that it needs. A name without a file is
   * left out: it is built into the kernel.
   */
  loadOrder(names: readonly string[]): string[] {
    const order = new Set<string>()
    const visit = (name: string) => {
      const path = this.#paths.get(canonical(name))
      if (path === undefined || order.has(path)) return
      for (const dependency of dependencies(path)) visit(dependency)
      order.add(path)
    }
    for (const name of names) visit(name)
    return [...order]
  }
}

function dependencies(path: string): string[] {
  // Entries of .modinfo are strings "key=value" that end with a zero byte.
  const match = /\0depends=([^\0]*)\0/.exec(readFileSync(path, 'latin1'))
  return (match?.[1] ?? '').split(',').filter((name) => name !== '')
}

/** Module names write dashes and underscores alike. */
function canonical(name: string): string {
  return name.replaceAll('-', '_')
}
