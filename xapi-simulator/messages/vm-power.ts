import { XapiError } from '../errors.ts'
import type { RecordOf } from '../model/model.ts'
import { nullReference } from '../model/types.ts'
import type { Pool } from '../state/pool.ts'
import type { Call, Handlers } from './call.ts'
import { startGuest, stopGuest } from './guest.ts'
import { operateOnVm } from './operation.ts'
import { assertCanRun, chooseHost, countMemory, memoryOf } from './placement.ts'
import { dropVdi, makeVdi } from './vdi.ts'

/** Memory limits must be in their order. @throws MEMORY_CONSTRAINT_VIOLATION_ORDER */
export function assertMemoryOrder(vm: RecordOf<'VM'>): void {
  const { memory_static_min, memory_dynamic_min, memory_dynamic_max, memory_static_max } = vm
  const ordered =
    memory_static_min <= memory_dynamic_min &&
    memory_dynamic_min <= memory_dynamic_max &&
    memory_dynamic_max <= memory_static_max
  if (!ordered) throw new XapiError('MEMORY_CONSTRAINT_VIOLATION_ORDER')
}

/** Makes a machine halted, with nothing attached, on no host. */
export function halt(pool: Pool, vm: string): void {
  stopGuest(pool, vm)
  const { VBDs, VIFs } = pool.database.get('VM', vm)
  setDevices(pool, VBDs, VIFs, false)
  leaveHost(pool, vm, 'Halted')
  pool.database.update('VM', vm, { requires_reboot: false })
  pool.refreshAround('VM', vm)
}

function leaveHost(pool: Pool, vm: string, power_state: 'Halted' | 'Suspended'): void {
  for (const console of pool.database.get('VM', vm).consoles) pool.database.remove('console', console)
  pool.database.update('VM', vm, {
    power_state,
    resident_on: nullReference,
    scheduled_to_be_resident_on: nullReference,
    domid: -1,
  })
  countMemory(pool)
}

function setDevices(pool: Pool, vbds: readonly string[], vifs: readonly string[], attached: boolean): void {
  for (const vbd of vbds) {
    const record = pool.database.find('VBD', vbd)
    if (record !== undefined) pool.database.update('VBD', vbd, { currently_attached: attached && !record.empty })
  }
  for (const vif of vifs) {
    if (pool.database.find('VIF', vif)) pool.database.update('VIF', vif, { currently_attached: attached })
  }
}

/** A machine whose disk another machine writes to, or that would write to a disk that another has, does not start. */
function assertDisksFree(pool: Pool, vm: string): void {
  for (const [reference, vbd] of pool.database.all('VBD')) {
    if (vbd.VM !== vm || vbd.empty) continue
    const vdi = pool.database.get('VDI', vbd.VDI)
    if (vdi.sharable) continue
    const others = vdi.VBDs.filter((other) => other !== reference).flatMap(
      (other) => pool.database.find('VBD', other) ?? [],
    )
    const clash = others.find((other) => other.currently_attached && (other.mode === 'RW' || vbd.mode === 'RW'))
    if (clash) throw new XapiError('VDI_IN_USE', vbd.VDI, 'attach')
    const busy = Object.entries(vdi.current_operations)[0]
    if (busy) throw new XapiError('OTHER_OPERATION_IN_PROGRESS', 'VDI', vbd.VDI, busy[1], busy[0])
  }
}

/** The screen of a machine, at the host on which it runs. */
function makeConsole(pool: Pool, VM: string, host: string): void {
  const console = pool.database.create('console', { protocol: 'rfb', VM })
  const { uuid } = pool.database.get('console', console)
  const location = `https://${pool.database.get('host', host).address}/console?uuid=${uuid}`
  pool.database.update('console', console, { location })
}

/** Makes a machine run on a host, with its devices attached. */
function boot(pool: Pool, vm: string, host: string, paused: boolean): void {
  const { VBDs, VIFs, memory_static_max, memory_dynamic_max, metrics, VCPUs_at_startup } = pool.database.get('VM', vm)
  pool.database.update('VM', vm, {
    power_state: paused ? 'Paused' : 'Running',
    resident_on: host,
    scheduled_to_be_resident_on: nullReference,
    domid: pool.nextDomain(),
    memory_target: memory_dynamic_max,
  })
  pool.database.update('VM_metrics', metrics, {
    memory_actual: memory_static_max,
    VCPUs_number: VCPUs_at_startup,
    start_time: pool.now(),
    last_updated: pool.now(),
    hvm: true,
    current_domain_type: 'hvm',
  })
  setDevices(pool, VBDs, VIFs, true)
  makeConsole(pool, vm, host)
  pool.refreshAround('VM', vm)
  countMemory(pool)
  startGuest(pool, vm)
}

async function start(call: Call, vm: string, operation: string, paused: boolean, host?: string): Promise<undefined> {
  const { pool } = call
  const prepare = () => {
    assertMemoryOrder(pool.database.get('VM', vm))
    assertDisksFree(pool, vm)
  }
  return placed(call, vm, operation, host, prepare, (chosen) => boot(pool, vm, chosen, paused))
}

async function resume(call: Call, vm: string, operation: string, paused: boolean, host?: string): Promise<undefined> {
  const { pool } = call
  return placed(
    call,
    vm,
    operation,
    host,
    () => {},
    (chosen) => {
      boot(pool, vm, chosen, paused)
      dropSuspendImage(pool, vm)
    },
  )
}

/** An operation that brings a machine to a host: it is chosen at the beginning, and its memory is taken from then on. */
async function placed(
  call: Call,
  vm: string,
  operation: string,
  host: string | undefined,
  prepare: () => void,
  effect: (chosen: string) => void,
): Promise<undefined> {
  const { pool } = call
  let chosen = ''
  const reserve = () => {
    prepare()
    if (host !== undefined) assertCanRun(pool, vm, host)
    chosen = host ?? chooseHost(pool, vm)
    pool.database.update('VM', vm, { scheduled_to_be_resident_on: chosen })
    countMemory(pool)
  }
  try {
    await operateOnVm(call, vm, operation, () => effect(chosen), reserve)
  } catch (error) {
    if (chosen !== '' && pool.database.find('VM', vm)) {
      pool.database.update('VM', vm, { scheduled_to_be_resident_on: nullReference })
      countMemory(pool)
    }
    throw error
  }
  return undefined
}

/** Takes away what a suspended machine's memory was written to. */
function dropSuspendImage(pool: Pool, vm: string): void {
  const { suspend_VDI } = pool.database.get('VM', vm)
  pool.database.update('VM', vm, { suspend_VDI: nullReference })
  if (pool.database.find('VDI', suspend_VDI)) dropVdi(pool, suspend_VDI)
}

/** A guest shuts down by itself; the machine then does what is set for that. */
export function shutDownGuest(pool: Pool, vm: string): void {
  const { resident_on, actions_after_shutdown } = pool.database.get('VM', vm)
  halt(pool, vm)
  if (actions_after_shutdown === 'restart') boot(pool, vm, resident_on, false)
}

/** Asks the guest to stop; one whose agent is not there does not answer. */
function assertGuestFollows(pool: Pool, vm: string): void {
  if (!pool.guest.agent) throw new XapiError('VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT', vm)
}

/** What xapi cancels before it cuts a machine's power. */
const cutOff: readonly string[] = [
  'clean_shutdown',
  'clean_reboot',
  'hard_reboot',
  'pool_migrate',
  'call_plugin',
  'suspend',
]

function cancelForPowerCut({ database, cancellations }: Pool, vm: string): void {
  for (const [task, operation] of Object.entries(database.get('VM', vm).current_operations)) {
    if (cutOff.includes(operation)) cancellations.get(task)?.()
  }
}

async function stop(call: Call, vm: string, operation: 'clean_shutdown' | 'hard_shutdown'): Promise<undefined> {
  await operateOnVm(call, vm, operation, () => {
    if (operation === 'clean_shutdown') assertGuestFollows(call.pool, vm)
    if (operation === 'hard_shutdown') cancelForPowerCut(call.pool, vm)
    halt(call.pool, vm)
    dropSuspendImage(call.pool, vm)
  })
  return undefined
}

async function reboot(call: Call, vm: string, operation: 'clean_reboot' | 'hard_reboot'): Promise<undefined> {
  await operateOnVm(call, vm, operation, () => {
    if (operation === 'clean_reboot') assertGuestFollows(call.pool, vm)
    const { resident_on } = call.pool.database.get('VM', vm)
    halt(call.pool, vm)
    boot(call.pool, vm, resident_on, false)
  })
  return undefined
}

function setState(call: Call, vm: string, operation: string, power_state: 'Running' | 'Paused') {
  return operateOnVm(call, vm, operation, () => {
    call.pool.database.update('VM', vm, { power_state })
    call.pool.refreshAround('VM', vm)
    if (power_state === 'Running') startGuest(call.pool, vm)
    return undefined
  })
}

export const powerMessages: Handlers<'VM'> = {
  start: (call, { vm, start_paused }) => start(call, vm, 'start', start_paused),
  start_on: (call, { vm, host, start_paused }) => start(call, vm, 'start_on', start_paused, host),
  pause: (call, { vm }) => setState(call, vm, 'pause', 'Paused'),
  unpause: (call, { vm }) => setState(call, vm, 'unpause', 'Running'),
  clean_shutdown: (call, { vm }) => stop(call, vm, 'clean_shutdown'),
  hard_shutdown: (call, { vm }) => stop(call, vm, 'hard_shutdown'),
  clean_reboot: (call, { vm }) => reboot(call, vm, 'clean_reboot'),
  hard_reboot: (call, { vm }) => reboot(call, vm, 'hard_reboot'),
  /** Cleanly if the guest follows, else hard. */
  async shutdown(call, { vm }) {
    try {
      return await stop(call, vm, 'clean_shutdown')
    } catch (error) {
      if (error instanceof XapiError && error.code === 'VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT') {
        return stop(call, vm, 'hard_shutdown')
      }
      throw error
    }
  },
  suspend(call, { vm }) {
    const { pool } = call
    return operateOnVm(call, vm, 'suspend', () => {
      const { suspend_SR, name_label } = pool.database.get('VM', vm)
      const sr = [suspend_SR, pool.self[1].suspend_image_SR, pool.self[1].default_SR].find((candidate) =>
        pool.database.find('SR', candidate),
      )
      if (sr === undefined) throw new XapiError('VM_NO_SUSPEND_SR', vm)
      const suspend_VDI = makeVdi(pool, {
        name_label: `Suspend image of ${name_label}`,
        SR: sr,
        virtual_size: memoryOf(pool.database.get('VM', vm)),
        type: 'suspend',
      })
      stopGuest(pool, vm)
      pool.database.update('VM', vm, { suspend_VDI })
      leaveHost(pool, vm, 'Suspended')
      pool.refreshAround('VM', vm)
      return undefined
    })
  },
  resume: (call, { vm, start_paused }) => resume(call, vm, 'resume', start_paused),
  resume_on: (call, { vm, host, start_paused }) => resume(call, vm, 'resume_on', start_paused, host),
  pool_migrate(call, { vm, host }) {
    const { pool } = call
    const prepare = () => assertCanRun(pool, vm, host)
    const effect = () => {
      assertCanRun(pool, vm, host)
      pool.database.update('VM', vm, { resident_on: host, domid: pool.nextDomain() })
      countMemory(pool)
      return undefined
    }
    return operateOnVm(call, vm, 'pool_migrate', effect, prepare)
  },
  power_state_reset(call, { vm }) {
    return operateOnVm(call, vm, 'power_state_reset', () => {
      halt(call.pool, vm)
      call.pool.database.update('VM', vm, { current_operations: {} })
      return undefined
    })
  },
}
