import type { PlacedDisk } from './domain-xml.ts'
import { type Hardware, type HardwareDefinition, letters, networkInterface, xenSeedIndex } from './hardware.ts'
import { type Element, element } from './xml.ts'

/**
 * A guest of Xen's by libxl. In every mode disks and interfaces are Xen's own; HVM has the first four disks and the
 * interfaces emulated too, until the guest's drivers for Xen take over.
 *
 * PV and PVH boot from the disk by pygrub, libxl's own boot loader: it is on every Xen host, and reads GRUB's and
 * extlinux's files inside the image, so that images boot unchanged. HVM boots by its BIOS.
 */
export function xenHardware(domain: HardwareDefinition): Hardware {
  const isHVM = domain.mode === 'HVM'
  return {
    boot: isHVM ? [element('boot', { dev: 'hd' })] : [],
    platform: [
      // libxl has it as default for PV alone.
      ...(domain.mode === 'PVH' ? [element('bootloader', {}, 'pygrub')] : []),
      ...(isHVM ? [element('features', {}, [element('acpi'), element('apic'), element('pae')])] : []),
      element('clock', { offset: 'utc' }),
    ],
    devices: [
      ...domain.disks.map(xenDisk),
      seedDisk(domain.seed, isHVM),
      ...domain.interfaces.map((wanted) => networkInterface(wanted, [])),
      isHVM
        ? element('serial', { type: 'pty' }, [element('target', { port: 0 })])
        : element('console', { type: 'pty' }, [element('target', { type: 'xen', port: 0 })]),
    ],
  }
}

/** A disk that is made by Berth. */
export function xenDisk(disk: PlacedDisk): Element {
  return element('disk', { type: 'file', device: 'disk' }, [
    element('driver', { name: 'qemu', type: 'qcow2' }),
    element('source', { file: disk.path }),
    element('target', { dev: disk.target, bus: 'xen' }),
    element('serial', {}, disk.name),
  ])
}

/**
 * The seed as CD-ROM, the only kind that may be read-only in every mode: libxl refuses an emulated disk that is, and
 * QEMU 7.2 in dom0 dies of one of Xen's, and takes the guest's other disks with it.
 */
function seedDisk(seed: PlacedDisk, isHVM: boolean): Element {
  const letter = letters(xenSeedIndex)
  return element('disk', { type: 'file', device: 'cdrom' }, [
    element('driver', { name: 'qemu', type: 'raw' }),
    element('source', { file: seed.path }),
    element('target', isHVM ? { dev: `hd${letter}`, bus: 'ide' } : { dev: `xvd${letter}`, bus: 'xen' }),
    element('serial', {}, seed.name),
    element('readonly'),
  ])
}
