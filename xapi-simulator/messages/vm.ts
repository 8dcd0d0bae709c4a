import { randomUUID } from 'node:crypto'
import { XMLParser } from 'fast-xml-parser'
import { XapiError } from '../errors.ts'
import type { RecordOf } from '../model/model.ts'
import { nullReference } from '../model/types.ts'
import type { Pool } from '../state/pool.ts'
import { refusal } from '../state/vm-operations.ts'
import type { Call, Handlers } from './call.ts'
import { operateOnVm } from './operation.ts'
import { assertCanRun, possibleHosts } from './placement.ts'
import { dropVbd, freeVbdDevices, makeVbd } from './vbd.ts'
import { dropVdi, duplicateVdi, makeVdi } from './vdi.ts'
import { dropVif, freeVifDevices, makeVif } from './vif.ts'
import { assertMemoryOrder, powerMessages } from './vm-power.ts'

/** Makes a machine that is halted, with no devices. */
export function makeVm(pool: Pool, values: Partial<RecordOf<'VM'>>): string {
  const metrics = pool.database.create('VM_metrics', { install_time: pool.now(), last_updated: pool.now() })
  return pool.database.create('VM', {
    ...values,
    power_state: 'Halted',
    domid: -1,
    metrics,
    resident_on: nullReference,
    guest_metrics: nullReference,
    suspend_VDI: nullReference,
    current_operations: {},
  })
}

/** Takes a machine away with its devices; its disks stay. */
export function dropVm(pool: Pool, vm: string): void {
  const { VBDs, VIFs, metrics, guest_metrics } = pool.database.get('VM', vm)
  pool.database.remove('VM', vm)
  for (const vbd of VBDs) dropVbd(pool, vbd)
  for (const vif of VIFs) dropVif(pool, vif)
  if (pool.database.find('VM_metrics', metrics)) pool.database.remove('VM_metrics', metrics)
  if (pool.database.find('VM_guest_metrics', guest_metrics)) pool.database.remove('VM_guest_metrics', guest_metrics)
}

/** The fields that a machine made from another has in common with it. */
function inherited(vm: RecordOf<'VM'>): Partial<RecordOf<'VM'>> {
  const { uuid, allowed_operations, current_operations, blocked_operations, consoles, VIFs, VBDs, ...rest } = vm
  const { resident_on, scheduled_to_be_resident_on, snapshots, children, ...inherited } = rest
  return inherited
}

/** Makes a machine from another: devices alike, disks made by `duplicate`. Nothing is left of one that fails. */
function duplicateVm(
  pool: Pool,
  vm: string,
  changes: Partial<RecordOf<'VM'>>,
  duplicate: (vdi: string) => string,
): string {
  const made = makeVm(pool, {
    ...inherited(pool.database.get('VM', vm)),
    is_a_snapshot: false,
    snapshot_of: nullReference,
    ...changes,
  })
  const disks: string[] = []
  try {
    duplicateDevices(pool, vm, made, (vdi) => {
      const disk = duplicate(vdi)
      disks.push(disk)
      return disk
    })
    return made
  } catch (error) {
    dropVm(pool, made)
    for (const disk of disks) dropVdi(pool, disk)
    throw error
  }
}

function duplicateDevices(pool: Pool, vm: string, made: string, duplicate: (vdi: string) => string): void {
  const source = pool.database.get('VM', vm)
  const isSnapshot = pool.database.get('VM', made).is_a_snapshot
  for (const reference of source.VBDs) {
    const { VDI, userdevice, bootable, mode, type, empty, other_config } = pool.database.get('VBD', reference)
    const own = type !== 'CD' && !empty
    makeVbd(pool, {
      VM: made,
      VDI: own ? duplicate(VDI) : VDI,
      userdevice,
      bootable,
      mode,
      type,
      empty,
      other_config,
    })
  }
  for (const reference of source.VIFs) {
    const { network, device, MTU, MAC, other_config } = pool.database.get('VIF', reference)
    // Two machines with one address would disturb each other; a snapshot never runs.
    makeVif(pool, { VM: made, network, device, MTU, other_config, ...(isSnapshot ? { MAC } : {}) })
  }
}

function fresh(vm: RecordOf<'VM'>): Partial<RecordOf<'VM'>> {
  const { default_template, ...other_config } = vm.other_config
  return {
    is_default_template: false,
    other_config: {
      ...other_config,
      mac_seed: randomUUID(),
      ...(vm.is_a_template ? { base_template_name: other_config['base_template_name'] ?? vm.name_label } : {}),
    },
  }
}

/** Disks that a template asks for, in its `other_config`. */
function wantedDisks(xml: string): { device: string; size: number; sr: string; bootable: boolean }[] {
  const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '', isArray: (name) => name === 'disk' })
  const disks: Record<string, string>[] = parser.parse(xml)?.provision?.disk ?? []
  return disks.map(({ device = '', size = '', sr = '', bootable }) => ({
    device,
    size: Number(size),
    sr,
    bootable: bootable === 'true',
  }))
}

function provision(pool: Pool, vm: string): undefined {
  const { other_config, name_label } = pool.database.get('VM', vm)
  const { disks, ...rest } = other_config
  for (const { device, size, sr, bootable } of disks === undefined ? [] : wantedDisks(disks)) {
    const found = pool.database.all('SR').find(([reference, { uuid }]) => uuid === sr || reference === sr)?.[0]
    const SR = found ?? pool.self[1].default_SR
    if (pool.database.find('SR', SR) === undefined) throw new XapiError('DEFAULT_SR_NOT_FOUND', SR)
    const VDI = makeVdi(pool, { SR, virtual_size: size, name_label: `${name_label} ${device}`, type: 'system' })
    makeVbd(pool, { VM: vm, VDI, userdevice: device, bootable, mode: 'RW', type: 'Disk', empty: false })
  }
  pool.database.update('VM', vm, { is_a_template: false, other_config: rest })
  return undefined
}

/** Changes fields as an operation; `check` sees the machine as it would be. */
function change(
  call: Call,
  vm: string,
  operation: string,
  patch: Partial<RecordOf<'VM'>>,
  check: (vm: RecordOf<'VM'>) => void = () => {},
): Promise<undefined> {
  return operateOnVm(call, vm, operation, () => {
    check({ ...call.pool.database.get('VM', vm), ...patch })
    call.pool.database.update('VM', vm, patch)
    return undefined
  })
}

function assertVcpus(vm: RecordOf<'VM'>): void {
  if (vm.VCPUs_at_startup < 1 || vm.VCPUs_at_startup > vm.VCPUs_max) {
    throw new XapiError('INVALID_VALUE', 'VCPUs_at_startup', String(vm.VCPUs_at_startup))
  }
}

/** Fields that a plain setter changes, though the data model calls them read-only. */
function plain<F extends keyof RecordOf<'VM'>>(field: F) {
  return ({ pool }: Call, { self, value }: { readonly self: string; readonly value: RecordOf<'VM'>[F] }) => {
    pool.database.update('VM', self, { [field]: value } as Partial<RecordOf<'VM'>>)
    return undefined
  }
}

export const vmMessages: Handlers<'VM'> = {
  ...powerMessages,
  async create(call, { args }) {
    assertVcpus(args)
    await call.work()
    return makeVm(call.pool, args)
  },
  destroy(call, { self }) {
    return operateOnVm(call, self, 'destroy', () => {
      dropVm(call.pool, self)
      return undefined
    })
  },
  clone(call, { vm, new_name }) {
    const { pool } = call
    return operateOnVm(call, vm, 'clone', () => {
      const changes = { ...fresh(pool.database.get('VM', vm)), name_label: new_name }
      return duplicateVm(pool, vm, changes, (vdi) => duplicateVdi(pool, vdi))
    })
  },
  copy(call, { vm, new_name, sr }) {
    const { pool } = call
    if (sr !== nullReference) pool.database.get('SR', sr)
    return operateOnVm(call, vm, 'copy', () => {
      const changes = { ...fresh(pool.database.get('VM', vm)), name_label: new_name }
      return duplicateVm(pool, vm, changes, (vdi) => duplicateVdi(pool, vdi, sr === nullReference ? {} : { SR: sr }))
    })
  },
  snapshot(call, { vm, new_name, ignore_vdis }) {
    const { pool } = call
    return operateOnVm(call, vm, 'snapshot', () => {
      const changes = {
        name_label: new_name,
        is_a_template: true,
        is_a_snapshot: true,
        snapshot_of: vm,
        snapshot_time: pool.now(),
        snapshot_info: { 'power-state-at-snapshot': pool.database.get('VM', vm).power_state },
      }
      const snapshot = duplicateVm(pool, vm, changes, (vdi) => {
        const made = duplicateVdi(pool, vdi)
        pool.database.update('VDI', made, { is_a_snapshot: true, snapshot_of: vdi, snapshot_time: pool.now() })
        return made
      })
      for (const vbd of pool.database.get('VM', snapshot).VBDs) {
        const of = pool.database.find('VDI', pool.database.get('VBD', vbd).VDI)?.snapshot_of
        if (of !== undefined && ignore_vdis.includes(of)) dropVbd(pool, vbd)
      }
      return snapshot
    })
  },
  provision: (call, { vm }) => operateOnVm(call, vm, 'provision', () => provision(call.pool, vm)),
  assert_operation_valid({ pool }, { self, op }) {
    const vm = pool.database.get('VM', self)
    const refused = refusal(self, vm, op, pool.surroundings(vm), false)
    if (refused !== undefined) throw refused
    return undefined
  },
  update_allowed_operations({ pool }, { self }) {
    pool.database.get('VM', self)
    pool.database.refresh('VM', self)
    return undefined
  },
  get_allowed_VBD_devices: ({ pool }, { vm }) => freeVbdDevices(pool, vm),
  get_allowed_VIF_devices: ({ pool }, { vm }) => freeVifDevices(pool, vm),
  get_possible_hosts({ pool }, { vm }) {
    pool.database.get('VM', vm)
    return possibleHosts(pool, vm)
  },
  assert_can_boot_here({ pool }, { self, host }) {
    assertCanRun(pool, self, host)
    return undefined
  },
  compute_memory_overhead: ({ pool }, { vm }) => pool.database.get('VM', vm).memory_overhead,
  set_memory_limits: (call, { self, static_min, static_max, dynamic_min, dynamic_max }) =>
    change(
      call,
      self,
      'changing_memory_limits',
      {
        memory_static_min: static_min,
        memory_static_max: static_max,
        memory_dynamic_min: dynamic_min,
        memory_dynamic_max: dynamic_max,
      },
      assertMemoryOrder,
    ),
  set_memory_static_range: (call, { self, min, max }) =>
    change(call, self, 'changing_static_range', { memory_static_min: min, memory_static_max: max }, assertMemoryOrder),
  set_memory_dynamic_range: (call, { self, min, max }) =>
    change(
      call,
      self,
      'changing_dynamic_range',
      { memory_dynamic_min: min, memory_dynamic_max: max },
      assertMemoryOrder,
    ),
  set_memory: (call, { self, value }) =>
    change(call, self, 'changing_memory_limits', {
      memory_static_max: value,
      memory_dynamic_min: value,
      memory_dynamic_max: value,
    }),
  set_memory_static_min: (call, { self, value }) =>
    change(call, self, 'changing_static_range', { memory_static_min: value }, assertMemoryOrder),
  set_memory_static_max: (call, { self, value }) =>
    change(call, self, 'changing_static_range', { memory_static_max: value }, assertMemoryOrder),
  set_memory_dynamic_min: (call, { self, value }) =>
    change(call, self, 'changing_dynamic_range', { memory_dynamic_min: value }, assertMemoryOrder),
  set_memory_dynamic_max: (call, { self, value }) =>
    change(call, self, 'changing_dynamic_range', { memory_dynamic_max: value }, assertMemoryOrder),
  set_VCPUs_max: (call, { self, value }) => change(call, self, 'changing_VCPUs', { VCPUs_max: value }, assertVcpus),
  set_VCPUs_at_startup: (call, { self, value }) =>
    change(call, self, 'changing_VCPUs', { VCPUs_at_startup: value }, assertVcpus),
  set_VCPUs_number_live(call, { self, nvcpu }) {
    return operateOnVm(call, self, 'changing_VCPUs_live', () => {
      const { VCPUs_max, metrics } = call.pool.database.get('VM', self)
      if (nvcpu < 1 || nvcpu > VCPUs_max) throw new XapiError('INVALID_VALUE', 'nvcpu', String(nvcpu))
      call.pool.database.update('VM_metrics', metrics, { VCPUs_number: nvcpu })
      return undefined
    })
  },
  set_HVM_boot_policy: plain('HVM_boot_policy'),
  set_HVM_shadow_multiplier: plain('HVM_shadow_multiplier'),
  set_domain_type: plain('domain_type'),
  set_actions_after_crash: plain('actions_after_crash'),
  set_has_vendor_device: plain('has_vendor_device'),
  set_order: plain('order'),
  set_start_delay: plain('start_delay'),
  set_shutdown_delay: plain('shutdown_delay'),
  set_ha_always_run: plain('ha_always_run'),
  set_ha_restart_priority: plain('ha_restart_priority'),
  set_NVRAM: (call, { self, value }) => change(call, self, 'changing_NVRAM', { NVRAM: value }),
}
