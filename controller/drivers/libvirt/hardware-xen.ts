import type { PlacedDisk } from './domain-xml.ts'
import {
  diskTarget,
  type Hardware,
  type HardwareDefinition,
  letters,
  networkInterface,
  xenSeedIndex,
} from './hardware.ts'
import { type Element, element } from './xml.ts'

const seedLetter = letters(xenSeedIndex)

/**
 * A guest of Xen's by libxl. In every mode disks and interfaces are Xen's own; HVM has the first four disks and the
 * interfaces emulated too, until the guest's drivers for Xen take over.
 *
 * PV and PVH boot from the disk by pygrub, libxl's own boot loader: it is on every Xen host, and reads GRUB's and
 * extlinux's files inside the image, so that images boot unchanged. HVM boots by its BIOS.
 */
export function xenHardware(domain: HardwareDefinition): Hardware {
  const isHVM = domain.mode === 'HVM'
  const seed = isHVM ? emulatedSeed(domain.seed) : xenDisk(domain.seed, `xvd${seedLetter}`, 'raw', element('readonly'))
  return {
    boot: isHVM ? [element('boot', { dev: 'hd' })] : [],
    platform: [
      // libxl has it as default for PV alone.
      ...(domain.mode === 'PVH' ? [element('bootloader', {}, 'pygrub')] : []),
      ...(isHVM ? [element('features', {}, [element('acpi'), element('apic'), element('pae')])] : []),
      element('clock', { offset: 'utc' }),
    ],
    devices: [
      ...domain.disks.map((disk, index) => xenDisk(disk, diskTarget('Xen', index), 'qcow2')),
      seed,
      ...domain.interfaces.map((wanted) => networkInterface(wanted, [])),
      isHVM
        ? element('serial', { type: 'pty' }, [element('target', { port: 0 })])
        : element('console', { type: 'pty' }, [element('target', { type: 'xen', port: 0 })]),
    ],
  }
}

/** qcow2 and raw alike by QEMU in dom0: what Xen's own driver offers for raw files depends on loop devices. */
function xenDisk(disk: PlacedDisk, target: string, type: 'qcow2' | 'raw', extra?: Element): Element {
  return element('disk', { type: 'file', device: 'disk' }, [
    element('driver', { name: 'qemu', type }),
    element('source', { file: disk.path }),
    element('target', { dev: target, bus: 'xen' }),
    element('serial', {}, disk.name),
    extra,
  ])
}

/** libxl refuses an emulated disk that is read-only, so HVM guests have the seed as CD-ROM. */
function emulatedSeed(seed: PlacedDisk): Element {
  return element('disk', { type: 'file', device: 'cdrom' }, [
    element('driver', { name: 'qemu', type: 'raw' }),
    element('source', { file: seed.path }),
    element('target', { dev: `hd${seedLetter}`, bus: 'ide' }),
    element('serial', {}, seed.name),
    element('readonly'),
  ])
}
