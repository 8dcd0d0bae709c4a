/** The record that a machine is made with. */
import { BerthError } from '../../errors/index.ts'
import type { BootMode, Capabilities, MachineSpec } from '../../hypervisor/port.ts'
import { parkedReason, startOperations } from './machines.ts'
import { nullRef, type StringMap } from './records.ts'
import { tagMap } from './tag.ts'

/** Throws ArchitectureMismatch or InvalidConfiguration for what the pool does not offer. */
export function chooseMode({ architecture, mode }: MachineSpec, { architectures, modes }: Capabilities): BootMode {
  if (!architectures.includes(architecture)) {
    const words = `The pool offers ${architectures.join(', ') || 'no architecture that Berth knows'}, not ${architecture}.`
    throw new BerthError('ArchitectureMismatch', words)
  }
  const chosen = mode ?? (modes.includes('HVM') ? 'HVM' : modes[0])
  if (chosen !== undefined && modes.includes(chosen)) return chosen as BootMode
  throw new BerthError('InvalidConfiguration', `The pool boots machines as ${modes.join(', ')}, not ${mode}.`)
}

/**
 * `VM.create`'s argument: with the tag, so that there is no moment at which nobody knows whose it is; and parked, so
 * that it cannot start before it has its disks.
 */
export function machineRecord(machine: MachineSpec, name: string, mode: BootMode): Readonly<Record<string, unknown>> {
  const { cpus, memory } = machine
  return {
    name_label: name,
    name_description: 'Made by Berth',
    user_version: 1,
    is_a_template: false,
    affinity: nullRef,
    // All alike: memory is not shared out anew while machines run.
    memory_static_max: memory,
    memory_dynamic_max: memory,
    memory_target: memory,
    memory_dynamic_min: memory,
    memory_static_min: memory,
    VCPUs_params: {},
    VCPUs_max: cpus,
    VCPUs_at_startup: cpus,
    actions_after_shutdown: 'destroy',
    actions_after_reboot: 'restart',
    // Whether it starts again is for who holds its slot to say.
    actions_after_crash: 'destroy',
    PV_bootloader: mode === 'PV' ? 'pygrub' : '',
    PV_kernel: '',
    PV_ramdisk: '',
    PV_args: '',
    PV_bootloader_args: '',
    PV_legacy_args: '',
    HVM_boot_policy: mode === 'PV' ? '' : 'BIOS order',
    HVM_boot_params: mode === 'PV' ? {} : { order: 'c' },
    HVM_shadow_multiplier: 1,
    platform: { acpi: '1', apic: 'true', nx: 'true', pae: 'true', vga: 'std', videoram: '8' },
    PCI_bus: '',
    other_config: tagMap(machine.tag),
    recommendations: '',
    xenstore_data: {},
    ha_always_run: false,
    ha_restart_priority: '',
    tags: [],
    blocked_operations: blocked({}),
    suspend_SR: nullRef,
    appliance: nullRef,
    start_delay: 0,
    shutdown_delay: 0,
    order: 0,
    generation_id: '',
    hardware_platform_version: 0,
    has_vendor_device: false,
    domain_type: mode === 'PV' ? 'pv' : 'hvm',
  }
}

/** Between our reason and the one that somebody else had before. */
const besides = '; also: '

/** With what keeps a machine from starting, beside what others block. */
export const blocked = (operations: StringMap): StringMap => ({
  ...operations,
  ...Object.fromEntries(startOperations.map((operation) => [operation, parkedBeside(operations[operation])])),
})

function parkedBeside(reason: string | undefined): string {
  if (reason === undefined) return parkedReason
  return reason.startsWith(parkedReason) ? reason : `${parkedReason}${besides}${reason}`
}

/** Without it; what others block stays blocked, by their own words. */
export const unblocked = (operations: StringMap): StringMap =>
  Object.fromEntries(
    Object.entries(operations)
      .filter(([, reason]) => reason !== parkedReason)
      .map(([operation, reason]) => [operation, reason.replace(`${parkedReason}${besides}`, '')]),
  )
