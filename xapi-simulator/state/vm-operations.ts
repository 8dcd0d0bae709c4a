import { XapiError } from '../errors.ts'
import { enumeration, type RecordOf } from '../model/model.ts'

type PowerState = 'Halted' | 'Paused' | 'Running' | 'Suspended'

const anyState: readonly PowerState[] = ['Halted', 'Paused', 'Running', 'Suspended']

/** The power states in which an operation may begin. */
const powerStates: Readonly<Record<string, readonly PowerState[]>> = {
  start: ['Halted'],
  start_on: ['Halted'],
  provision: ['Halted'],
  make_into_template: ['Halted'],
  changing_static_range: ['Halted'],
  changing_memory_limits: ['Halted'],
  changing_shadow_memory: ['Halted'],
  changing_VCPUs: ['Halted'],
  changing_NVRAM: ['Halted'],
  create_vtpm: ['Halted'],
  clone: ['Halted'],
  copy: ['Halted'],
  unpause: ['Paused'],
  csvm: ['Suspended'],
  resume: ['Suspended'],
  resume_on: ['Suspended'],
  awaiting_memory_live: ['Running'],
  call_plugin: ['Running'],
  clean_reboot: ['Running'],
  clean_shutdown: ['Running'],
  changing_memory_live: ['Running'],
  changing_shadow_memory_live: ['Running'],
  changing_VCPUs_live: ['Running'],
  data_source_op: ['Running'],
  pause: ['Running'],
  pool_migrate: ['Running'],
  send_sysrq: ['Running'],
  send_trigger: ['Running'],
  snapshot_with_quiesce: ['Running'],
  suspend: ['Running'],
  changing_dynamic_range: ['Halted', 'Running'],
  create_template: ['Halted', 'Suspended'],
  destroy: ['Halted', 'Suspended'],
  export: ['Halted', 'Suspended'],
  hard_reboot: ['Paused', 'Running'],
  checkpoint: ['Paused', 'Suspended', 'Running'],
  get_boot_record: ['Paused', 'Suspended', 'Running'],
  shutdown: ['Paused', 'Suspended', 'Running'],
  hard_shutdown: ['Paused', 'Suspended', 'Running'],
  migrate_send: ['Halted', 'Suspended', 'Running'],
}

/** Operations that may be called and are never listed as allowed. */
const unlisted: ReadonlySet<string> = new Set([
  'create_template',
  'power_state_reset',
  'csvm',
  'get_boot_record',
  'send_sysrq',
  'send_trigger',
  'query_services',
  'shutdown',
  'call_plugin',
  'changing_memory_live',
  'awaiting_memory_live',
  'changing_memory_limits',
  'changing_shadow_memory_live',
  'changing_VCPUs',
  'assert_operation_valid',
  'data_source_op',
  'update_allowed_operations',
  'import',
  'reverting',
])

const templateOperations: ReadonlySet<string> = new Set([
  'changing_dynamic_range',
  'changing_static_range',
  'changing_memory_limits',
  'changing_shadow_memory',
  'changing_VCPUs',
  'changing_NVRAM',
  'clone',
  'copy',
  'export',
  'metadata_export',
  'provision',
])

const snapshotOperations: ReadonlySet<string> = new Set([
  'revert',
  'clone',
  'copy',
  'export',
  'destroy',
  'hard_shutdown',
  'metadata_export',
])

const controlDomainOperations: ReadonlySet<string> = new Set([
  'data_source_op',
  'changing_memory_live',
  'awaiting_memory_live',
  'metadata_export',
  'changing_dynamic_range',
  'changing_memory_limits',
  'changing_static_range',
  'start',
  'start_on',
  'changing_VCPUs',
])

/** Operations that may go on together. */
const together: readonly ReadonlySet<string>[] = [
  new Set(['clone', 'copy', 'export']),
  new Set(['snapshot', 'checkpoint']),
  new Set(['get_boot_record']),
]

const duringMigration: ReadonlySet<string> = new Set(['metadata_export', 'clean_shutdown', 'clean_reboot'])

/** What the rules look at besides the record. */
export interface Surroundings {
  /** What the guest agent told, or undefined as long as it told nothing. */
  readonly guest: RecordOf<'VM_guest_metrics'> | undefined
  /** How the running domain was booted. */
  readonly bootedAs: string
}

/**
 * Says why an operation may not begin, by the first rule of xapi that forbids it; undefined if it may. Strict is the
 * reading of `allowed_operations`, which leaves out what the guest is not known to follow; a call is tried all the same.
 */
export function refusal(
  reference: string,
  vm: RecordOf<'VM'>,
  operation: string,
  { guest, bootedAs }: Surroundings,
  strict: boolean,
): XapiError | undefined {
  const blocked = Object.entries(vm.blocked_operations).find(([name]) => name === operation)
  if (blocked) return new XapiError('OPERATION_BLOCKED', reference, blocked[1])

  const expected =
    vm.is_a_snapshot && (operation === 'clone' || operation === 'copy')
      ? (['Halted', 'Suspended'] as const)
      : vm.is_control_domain &&
          ['changing_VCPUs', 'changing_static_range', 'changing_memory_limits'].includes(operation)
        ? (['Halted', 'Running'] as const)
        : (powerStates[operation] ?? anyState)
  if (!expected.some((state) => state === vm.power_state)) {
    const states = expected.join(', ').toLowerCase()
    return new XapiError('VM_BAD_POWER_STATE', reference, states, vm.power_state.toLowerCase())
  }

  const current = Object.entries(vm.current_operations)
  if (current.length > 0 && !mayJoin(operation, Object.values(vm.current_operations))) {
    const list = (members: readonly string[]) => (members.length === 1 ? (members[0] ?? '') : `{${members.join(',')}}`)
    return new XapiError(
      'OTHER_OPERATION_IN_PROGRESS',
      'VM',
      reference,
      list(current.map(([, name]) => name)),
      list(current.map(([task]) => task)),
    )
  }

  if (vm.is_a_snapshot) {
    if (!snapshotOperations.has(operation)) return new XapiError('VM_IS_SNAPSHOT', reference, operation)
  } else if (vm.is_a_template && !templateOperations.has(operation)) {
    const own = !vm.is_default_template && vm.other_config['default_template'] !== 'true'
    const ofOwn = own && (operation === 'destroy' || operation === 'migrate_send')
    if (!ofOwn) return new XapiError('VM_IS_TEMPLATE', reference, operation)
  }
  if (operation === 'provision' && !vm.is_a_template) return new XapiError('ONLY_PROVISION_TEMPLATE')
  if (operation === 'revert' && !vm.is_a_snapshot) return new XapiError('ONLY_REVERT_SNAPSHOT')

  const moves = ['suspend', 'checkpoint', 'pool_migrate', 'migrate_send'].includes(operation)
  const pinned = isTrue(vm.platform['nomigrate']) || isTrue(vm.platform['nested-virt'])
  if (moves && strict && pinned) return new XapiError('VM_IS_IMMOBILE', reference)
  if (operation === 'changing_dynamic_range' && strict && isTrue(vm.platform['nested-virt'])) {
    return new XapiError('VM_IS_USING_NESTED_VIRT', reference)
  }
  if (vm.is_control_domain && !controlDomainOperations.has(operation)) {
    return new XapiError('OPERATION_NOT_ALLOWED', 'This operation is not allowed on a control domain')
  }

  const live = vm.power_state === 'Running' || vm.power_state === 'Paused'
  const missing = live ? missingFeature(operation, guest, bootedAs, strict) : undefined
  if (missing === 'feature') return new XapiError('VM_LACKS_FEATURE', reference)
  if (missing !== undefined) return new XapiError('VM_NON_SUSPENDABLE', reference, missing.reason)
  if (operation === 'snapshot_with_quiesce') return new XapiError('VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED', reference)
  if (operation === 'query_services' && vm.other_config['is_system_domain'] !== 'true') {
    return new XapiError('NOT_SYSTEM_DOMAIN', reference)
  }
  if (operation === 'create_vtpm' && vm.VTPMs.length > 0) {
    return new XapiError('VTPM_MAX_AMOUNT_REACHED', String(vm.VTPMs.length))
  }
  return undefined
}

/** `allowed_operations`: what would not be refused. */
export function allowedOperations(reference: string, vm: RecordOf<'VM'>, surroundings: Surroundings): string[] {
  return enumeration('vm_operations').filter(
    (operation) => !unlisted.has(operation) && refusal(reference, vm, operation, surroundings, true) === undefined,
  )
}

function mayJoin(operation: string, current: readonly string[]): boolean {
  if (together.some((set) => set.has(operation) && current.every((other) => set.has(other)))) return true
  if (operation === 'hard_shutdown') return !current.includes('hard_shutdown')
  if (operation === 'hard_reboot') return !current.includes('hard_shutdown') && !current.includes('hard_reboot')
  if (current.length !== 1) return false
  if (current[0] === 'migrate_send') return duringMigration.has(operation)
  return current[0] === 'snapshot_with_quiesce' && operation === 'snapshot'
}

/** Which help of the guest an operation needs and does not get. */
function missingFeature(
  operation: string,
  guest: RecordOf<'VM_guest_metrics'> | undefined,
  bootedAs: string,
  strict: boolean,
): 'feature' | { readonly reason: string } | undefined {
  const other = guest?.other ?? {}
  const has = (feature: string) => other[feature] === '1'
  const implied = ['pv', 'pv_in_pvh', 'pvh'].includes(bootedAs) || guest?.PV_drivers_detected === true
  switch (operation) {
    case 'suspend':
    case 'checkpoint':
    case 'pool_migrate':
    case 'migrate_send': {
      const reason = other['data-cant-suspend-reason']
      if (reason !== undefined) return { reason }
      return !implied && strict && !has('feature-suspend') ? 'feature' : undefined
    }
    case 'clean_shutdown':
      return !implied && strict && !has('feature-shutdown') && !has('feature-poweroff') ? 'feature' : undefined
    case 'clean_reboot':
      return !implied && strict && !has('feature-shutdown') && !has('feature-reboot') ? 'feature' : undefined
    case 'changing_VCPUs_live':
      return !implied && !has('feature-vcpu-hotplug') ? 'feature' : undefined
    default:
      return undefined
  }
}

function isTrue(value: string | undefined): boolean {
  return value === 'true' || value === '1'
}
