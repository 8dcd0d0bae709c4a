import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { enumeration } from '../model/model.ts'
import { failure, TestPool } from '../testing/client.ts'

const allowed = (pool: TestPool, vm: string) => pool.call<string[]>('VM.get_allowed_operations', vm)

/** The states in which a machine can be met, and how it gets there. */
const states: Readonly<Record<string, (pool: TestPool) => Promise<string>>> = {
  Halted: (pool) => pool.makeWholeVm(),
  Running: start,
  Paused: async (pool) => {
    const vm = await start(pool)
    await pool.call('VM.pause', vm)
    return vm
  },
  Suspended: async (pool) => {
    const vm = await start(pool)
    await pool.call('VM.suspend', vm)
    return vm
  },
  'a template': (pool) => pool.makeVm({ is_a_template: true }),
  'a default template': async (pool) => {
    const [template] = pool.control.database.all('VM').filter(([, vm]) => vm.is_default_template)
    return template?.[0] ?? ''
  },
  'a snapshot': async (pool) => pool.call('VM.snapshot', await pool.makeWholeVm(), 'snapshot'),
}

async function start(pool: TestPool): Promise<string> {
  const vm = await pool.makeWholeVm()
  await pool.call('VM.start', vm, false, false)
  // The guest's agent reports.
  await pool.clock.advance(0)
  return vm
}

/** What xapi allows in each state: written from its documentation, apart from the rules in the code. */
const table: Readonly<Record<string, string>> = {
  Halted:
    'start start_on clone copy snapshot export metadata_export destroy make_into_template migrate_send ' +
    'changing_dynamic_range changing_static_range changing_shadow_memory changing_NVRAM create_vtpm',
  Running:
    'clean_shutdown clean_reboot hard_shutdown hard_reboot pause suspend snapshot checkpoint pool_migrate ' +
    'migrate_send changing_VCPUs_live changing_dynamic_range metadata_export',
  Paused: 'unpause hard_shutdown hard_reboot snapshot checkpoint metadata_export',
  Suspended: 'resume resume_on hard_shutdown snapshot checkpoint export destroy migrate_send metadata_export',
  'a template':
    'clone copy provision export metadata_export changing_dynamic_range changing_static_range ' +
    'changing_shadow_memory changing_NVRAM destroy migrate_send',
  'a default template':
    'clone copy provision export metadata_export changing_dynamic_range changing_static_range ' +
    'changing_shadow_memory changing_NVRAM',
  'a snapshot': 'revert clone copy export destroy metadata_export',
}

test.each(Object.keys(states))('allowed_operations of a machine that is %s', async (state) => {
  const pool = await TestPool.open()
  const vm = (await states[state]?.(pool)) ?? ''
  expect((await allowed(pool, vm)).toSorted()).toEqual((table[state] ?? '').split(' ').toSorted())
})

describe('order of the checks', () => {
  test('blocked comes before the power state, that before other operations, those before what it is', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm({ is_a_template: true })
    await pool.call('VM.set_blocked_operations', vm, { start: 'parked', pause: 'parked' })
    expect(await failure(pool.call('VM.pause', vm))).toEqual(['OPERATION_BLOCKED', vm, 'parked'])
    await pool.call('VM.set_blocked_operations', vm, {})
    expect(await failure(pool.call('VM.pause', vm))).toEqual(['VM_BAD_POWER_STATE', vm, 'running', 'halted'])
    pool.control.setDuration('VM.clone', 1000)
    const task = await pool.call('Async.VM.clone', vm, 'clone')
    expect(await failure(pool.call('VM.start', vm, false, false))).toEqual([
      'OTHER_OPERATION_IN_PROGRESS',
      'VM',
      vm,
      'clone',
      task,
    ])
    await pool.clock.advance(1000)
    expect(await failure(pool.call('VM.start', vm, false, false))).toEqual(['VM_IS_TEMPLATE', vm, 'start'])
  })

  test('several operations that go on are named together', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeWholeVm()
    pool.control.setDuration('VM.clone', 1000)
    const [first, second] = [await pool.call('Async.VM.clone', vm, 'a'), await pool.call('Async.VM.clone', vm, 'b')]
    expect(await failure(pool.call('VM.start', vm, false, false))).toEqual([
      'OTHER_OPERATION_IN_PROGRESS',
      'VM',
      vm,
      '{clone,clone}',
      `{${first},${second}}`,
    ])
  })
})

describe('while an operation goes on', () => {
  const cases: readonly (readonly [running: string, asked: string, passes: boolean])[] = [
    ['VM.clone', 'VM.copy', true],
    ['VM.clone', 'VM.snapshot', false],
    ['VM.snapshot', 'VM.snapshot', true],
    ['VM.snapshot', 'VM.start', false],
    ['VM.clean_shutdown', 'VM.hard_shutdown', true],
    ['VM.clean_shutdown', 'VM.clean_reboot', false],
    ['VM.hard_shutdown', 'VM.hard_shutdown', false],
    ['VM.clean_shutdown', 'VM.hard_reboot', true],
    ['VM.hard_shutdown', 'VM.hard_reboot', false],
  ]
  const extra: Readonly<Record<string, readonly unknown[]>> = {
    'VM.clone': ['new'],
    'VM.copy': ['new', 'OpaqueRef:NULL'],
    'VM.snapshot': ['new'],
    'VM.start': [false, false],
  }

  test.each(cases)('%s, %s passes: %s', async (running, asked, passes) => {
    const pool = await TestPool.open()
    const vm = running.includes('shutdown') ? await start(pool) : await pool.makeWholeVm()
    pool.control.setDuration(running, 1000)
    pool.control.setDuration(asked, 1000)
    await pool.call(`Async.${running}`, vm, ...(extra[running] ?? []))
    const task = await pool.call(`Async.${asked}`, vm, ...(extra[asked] ?? []))
    await pool.clock.advance(0)
    const { status, error_info } = pool.control.database.get('task', task)
    expect([status, error_info[0]]).toEqual(
      passes ? ['pending', undefined] : ['failure', 'OTHER_OPERATION_IN_PROGRESS'],
    )
  })

  test('it is shown, and nothing that would be refused is listed', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeWholeVm()
    pool.control.setDuration('VM.start', 1000)
    const task = await pool.call('Async.VM.start', vm, false, false)
    expect(await pool.call('VM.get_current_operations', vm)).toEqual({ [task]: 'start' })
    expect(await allowed(pool, vm)).toEqual([])
    await pool.clock.advance(1000)
    expect(await pool.call('VM.get_current_operations', vm)).toEqual({})
    expect(await pool.call('VM.get_power_state', vm)).toBe('Running')
  })
})

describe('a guest without an agent', () => {
  test('is not said to follow, is asked all the same, and does not', async () => {
    const pool = await TestPool.open()
    pool.control.setGuest({ agent: false })
    const vm = await start(pool)
    for (const operation of ['clean_shutdown', 'clean_reboot', 'suspend']) {
      expect(await allowed(pool, vm)).not.toContain(operation)
    }
    expect(await failure(pool.call('VM.clean_shutdown', vm))).toEqual(['VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT', vm])
    expect(await pool.call('VM.get_power_state', vm)).toBe('Running')
    await pool.call('VM.shutdown', vm)
    expect(await pool.call('VM.get_power_state', vm)).toBe('Halted')
  })
})

/** Messages by the operation of which they are, and what they are given besides the machine. */
const operations: Readonly<Record<string, readonly [method: string, ...given: unknown[]]>> = {
  start: ['VM.start', false, false],
  start_on: ['VM.start_on', 'host', true, false],
  pause: ['VM.pause'],
  unpause: ['VM.unpause'],
  suspend: ['VM.suspend'],
  resume: ['VM.resume', false, false],
  resume_on: ['VM.resume_on', 'host', true, false],
  clean_shutdown: ['VM.clean_shutdown'],
  hard_shutdown: ['VM.hard_shutdown'],
  clean_reboot: ['VM.clean_reboot'],
  hard_reboot: ['VM.hard_reboot'],
  pool_migrate: ['VM.pool_migrate', 'host', {}],
  snapshot: ['VM.snapshot', 'snapshot'],
  clone: ['VM.clone', 'clone'],
  copy: ['VM.copy', 'copy', 'OpaqueRef:NULL'],
  changing_dynamic_range: ['VM.set_memory_dynamic_range', 512 * 1024 ** 2, 512 * 1024 ** 2],
  changing_static_range: ['VM.set_memory_static_range', 0, 512 * 1024 ** 2],
  changing_VCPUs_live: ['VM.set_VCPUs_number_live', 1],
  provision: ['VM.provision'],
}

/** What must be true of every pool at any time. */
function assertConsistent({ control: { database } }: TestPool): void {
  for (const [reference, vm] of database.all('VM')) {
    const resident = vm.power_state === 'Running' || vm.power_state === 'Paused'
    expect([vm.resident_on !== 'OpaqueRef:NULL', vm.domid !== -1]).toEqual([resident, resident])
    for (const [host, { resident_VMs }] of database.all('host')) {
      expect(resident_VMs.filter((member) => member === reference)).toHaveLength(vm.resident_on === host ? 1 : 0)
    }
    for (const vbd of vm.VBDs) {
      const { VM, currently_attached } = database.get('VBD', vbd)
      expect(VM).toBe(reference)
      expect(currently_attached).toBe(vm.power_state !== 'Halted')
    }
  }
  for (const [, { metrics, memory_overhead, resident_VMs }] of database.all('host')) {
    const used = resident_VMs.map((vm) => database.get('VM', vm)).reduce((sum, vm) => sum + vm.memory_static_max, 0)
    const { memory_total, memory_free } = database.get('host_metrics', metrics)
    expect(memory_total - memory_overhead - memory_free).toBe(used)
  }
}

test('after any sequence of operations allowed_operations tells the truth', async () => {
  const names = Object.keys(operations)
  expect(names.every((name) => enumeration('vm_operations').includes(name))).toBe(true)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...names), { maxLength: 12 }), fc.boolean(), async (sequence, agent) => {
      const pool = await TestPool.open({ members: 2 })
      pool.control.setGuest({ agent })
      const vm = await pool.makeWholeVm()
      const host = pool.members[1]?.host
      for (const operation of sequence) {
        const listed = (await allowed(pool, vm)).includes(operation)
        const before = pool.control.database.get('VM', vm)
        const [method = '', ...given] = operations[operation] ?? []
        const asked = pool.call(method, vm, ...given.map((value) => (value === 'host' ? host : value)))
        const error = await asked.then(
          () => undefined,
          (error: unknown) => error as Error,
        )
        if (listed) expect([operation, error]).toEqual([operation, undefined])
        // Unlisted is also what a guest is not known to follow, which is tried all the same.
        else if (agent) {
          expect([operation, error?.message]).toEqual([operation, expect.stringMatching(/^(VM_|ONLY_)/)])
          expect(pool.control.database.get('VM', vm)).toEqual(before)
        }
        await pool.clock.advance(0)
        assertConsistent(pool)
      }
    }),
    { numRuns: 30 },
  )
}, 60_000)
