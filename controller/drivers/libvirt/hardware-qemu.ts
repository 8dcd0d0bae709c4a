import type { PlacedDisk } from './domain-xml.ts'
import { type Hardware, type HardwareDefinition, networkInterface } from './hardware.ts'
import { type Element, element } from './xml.ts'

/**
 * Where disks and interfaces can be plugged in while the machine runs. On q35 each needs a port of its own, which only a
 * start can add; on i440fx there is room as it is.
 */
const sparePorts = 8

/** Devices beside disks and interfaces that are plugged in too: channel, balloon and random numbers. */
const otherDevices = 3

/**
 * A PC of QEMU's, with KVM or without. Disks, seed and interfaces are virtio: what every guest since 2010 has drivers
 * for, and what cloud kernels without AHCI find. The seed is a read-only virtio disk, as NoCloud is found by its label
 * on any block device.
 */
export function qemuHardware(domain: HardwareDefinition): Hardware {
  const kvm = domain.virtualisation === 'KVM'
  return {
    boot: [],
    platform: [element('features', {}, [element('acpi'), element('apic')]), processor(kvm), clock(kvm)],
    devices: [
      ...domain.disks.map((disk, index) => qemuDisk(disk, index === 0 ? element('boot', { order: 1 }) : undefined)),
      virtioDisk(domain.seed, 'raw', element('readonly')),
      ...domain.interfaces.map((wanted) =>
        // Without a boot ROM: hosts need no iPXE files, and the firmware does not wait for a network.
        networkInterface(wanted, [element('model', { type: 'virtio' }), element('rom', { enabled: 'no' })]),
      ),
      ...ports(domain),
      element('controller', { type: 'usb', model: 'none' }),
      element('serial', { type: 'pty' }, [element('target', { port: 0 })]),
      element('channel', { type: 'unix' }, [element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' })]),
      element('memballoon', { model: 'virtio' }),
      // A guest that panics tells of it, and is off as one that crashed; without, it hangs for ever.
      element('panic', { model: 'isa' }),
      element('rng', { model: 'virtio' }, [element('backend', { model: 'random' }, '/dev/urandom')]),
    ],
  }
}

function processor(kvm: boolean): Element {
  if (kvm) return element('cpu', { mode: 'host-passthrough', check: 'none', migratable: 'on' })
  // TCG's own default is a CPU of 2003, which distributions built for x86-64-v2 refuse to run on.
  return element('cpu', { mode: 'maximum' })
}

function clock(kvm: boolean): Element {
  if (!kvm) return element('clock', { offset: 'utc' })
  // Lost ticks are caught up with, and guests use kvm-clock instead of the costly HPET.
  return element('clock', { offset: 'utc' }, [
    element('timer', { name: 'rtc', tickpolicy: 'catchup' }),
    element('timer', { name: 'pit', tickpolicy: 'delay' }),
    element('timer', { name: 'hpet', present: 'no' }),
  ])
}

/** None where the machine needs none. */
function ports({ machineType, disks, interfaces }: HardwareDefinition): readonly Element[] {
  if (!isPCIe(machineType)) return []
  const used = disks.length + 1 + interfaces.length + otherDevices
  const port = element('controller', { type: 'pci', model: 'pcie-root-port' })
  return [
    element('controller', { type: 'pci', index: 0, model: 'pcie-root' }),
    ...Array.from({ length: used + sparePorts }, () => port),
  ]
}

/** Whether its devices are plugged into ports: q35, by that name or a version of it. */
export const isPCIe = (machineType: string): boolean => machineType.includes('q35')

/** A disk that is made by Berth. */
export function qemuDisk(disk: PlacedDisk, extra?: Element): Element {
  return virtioDisk(disk, 'qcow2', extra)
}

/** The serial number shows the guest at most 20 bytes. */
function virtioDisk(disk: PlacedDisk, type: 'qcow2' | 'raw', extra: Element | undefined): Element {
  return element('disk', { type: 'file', device: 'disk' }, [
    element('driver', { name: 'qemu', type, discard: type === 'qcow2' ? 'unmap' : undefined }),
    element('source', { file: disk.path }),
    element('target', { dev: disk.target, bus: 'virtio' }),
    element('serial', {}, disk.name),
    extra,
    disk.address,
  ])
}
