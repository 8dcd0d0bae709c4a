import { describe, expect, test } from '@jest/globals'
import { failure, TestPool } from '../testing/client.ts'

const mebibyte = 1024 ** 2
const memory = (bytes: number) => ({
  memory_static_max: bytes,
  memory_dynamic_max: bytes,
  memory_dynamic_min: bytes,
})

const start = (pool: TestPool, vm: string) => pool.call('VM.start', vm, false, false)

describe('where a machine runs', () => {
  // Xen takes half a GiB of each host, the control domain 4 GiB.
  const twoHosts = { members: 2, memory: (4.5 * 1024 + 1000) * mebibyte }

  test('is the host that it prefers, else the one with the most free memory, else none', async () => {
    const pool = await TestPool.open(twoHosts)
    const [first, second] = pool.members.map(({ host }) => host)
    const host = async (changes: object) => {
      const vm = await pool.makeVm({ ...memory(600 * mebibyte), ...changes })
      await start(pool, vm)
      return pool.call('VM.get_resident_on', vm)
    }
    expect(await host({ affinity: second })).toBe(second)
    expect(await host({})).toBe(first)
    expect(await failure(host({}))).toEqual(['NO_HOSTS_AVAILABLE'])
  })

  test('is refused with the reason when a host is asked for', async () => {
    const pool = await TestPool.open({
      ...twoHosts,
      srs: [{ name: 'shared' }, { name: 'local', shared: false }],
    })
    const host = pool.members[1]?.host
    const large = await pool.makeVm(memory(2000 * mebibyte))
    expect(await failure(pool.call('VM.start_on', large, host, false, false))).toEqual([
      'HOST_NOT_ENOUGH_FREE_MEMORY',
      String(2000 * mebibyte),
      String(1000 * mebibyte),
    ])
    const local = pool.control.database.all('SR').find(([, { shared }]) => !shared)?.[0] ?? ''
    const bound = await pool.makeVm()
    await pool.makeVbd(bound, await pool.makeVdi(mebibyte, local))
    const refused = ['VM_REQUIRES_SR', bound, local]
    expect(await failure(pool.call('VM.start_on', bound, host, false, false))).toEqual(refused)
    expect(await pool.call('VM.get_possible_hosts', bound)).toEqual([pool.members[0]?.host])
    await pool.call('host.disable', host)
    expect(await failure(pool.call('VM.start_on', large, host, false, false))).toEqual(['HOST_DISABLED', host])
  })

  test('has its memory taken from the moment the start begins', async () => {
    const pool = await TestPool.open({ memory: (4.5 * 1024 + 1000) * mebibyte })
    const [first, second] = [await pool.makeVm(memory(600 * mebibyte)), await pool.makeVm(memory(600 * mebibyte))]
    pool.control.setDuration('VM.start', 1000)
    await pool.call('Async.VM.start', first, false, false)
    expect(await failure(start(pool, second))).toEqual(['NO_HOSTS_AVAILABLE'])
  })
})

describe('a machine whose memory is written to a disk', () => {
  const images = (pool: TestPool) => pool.control.database.all('VDI').filter(([, { type }]) => type === 'suspend')
  const state = (pool: TestPool, vm: string) => pool.call<string>('VM.get_power_state', vm)

  test('goes on, paused if that is asked for, and leaves nothing of it on the SR; so does a power cut', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeWholeVm()
    await start(pool, vm)
    for (const [paused, after] of [
      [false, 'Running'],
      [true, 'Paused'],
    ] as const) {
      await pool.call('VM.suspend', vm)
      expect([await state(pool, vm), images(pool).length]).toEqual(['Suspended', 1])
      await pool.call('VM.resume', vm, paused, false)
      expect([await state(pool, vm), images(pool).length]).toEqual([after, 0])
    }
    expect(await failure(pool.call('VM.suspend', vm))).toEqual(['VM_BAD_POWER_STATE', vm, 'running', 'paused'])
    await pool.call('VM.unpause', vm)
    await pool.call('VM.suspend', vm)
    for (const [message, ...rest] of [['VM.start', false, false], ['VM.unpause']] as const) {
      expect((await failure(pool.call(message, vm, ...rest)))[0]).toBe('VM_BAD_POWER_STATE')
    }
    await pool.call('VM.set_blocked_operations', vm, { resume: 'parked' })
    expect(await failure(pool.call('VM.resume', vm, false, false))).toEqual(['OPERATION_BLOCKED', vm, 'parked'])
    await pool.call('VM.hard_shutdown', vm)
    expect([await state(pool, vm), images(pool).length]).toEqual(['Halted', 0])
  })

  test('has its power cut meanwhile: it is halted, and the suspend is given up', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeWholeVm()
    await start(pool, vm)
    pool.control.setDuration('VM.suspend', 1000)
    const task = await pool.call<string>('Async.VM.suspend', vm)
    await pool.call('VM.hard_shutdown', vm)
    await pool.clock.advance(1000)
    expect([await state(pool, vm), images(pool).length]).toEqual(['Halted', 0])
    expect(await pool.call('task.get_status', task)).toBe('cancelled')
  })

  test('has its memory taken from the moment it begins to go on', async () => {
    const pool = await TestPool.open({ memory: (4.5 * 1024 + 1000) * mebibyte })
    const [first, second] = [await pool.makeVm(memory(600 * mebibyte)), await pool.makeVm(memory(600 * mebibyte))]
    await start(pool, first)
    await pool.call('VM.suspend', first)
    pool.control.setDuration('VM.resume', 1000)
    await pool.call('Async.VM.resume', first, false, false)
    expect(await failure(start(pool, second))).toEqual(['NO_HOSTS_AVAILABLE'])
  })
})

test('the guest tells its addresses some time after the start, and no more once it is halted', async () => {
  const pool = await TestPool.open()
  pool.control.setGuest({ agentDelay: 5000 })
  const vm = await pool.makeWholeVm()
  const [vif] = await pool.call<string[]>('VM.get_VIFs', vm)
  await start(pool, vm)
  await pool.clock.advance(4999)
  expect(await pool.call('VM.get_guest_metrics', vm)).toBe('OpaqueRef:NULL')
  await pool.clock.advance(1)
  const metrics = await pool.call('VM.get_guest_metrics', vm)
  const mac = await pool.call('VIF.get_MAC', vif)
  const [, , , a, b] = mac.split(':').map((byte) => Number.parseInt(byte, 16))
  const networks = await pool.call<Record<string, string>>('VM_guest_metrics.get_networks', metrics)
  expect(Object.keys(networks)).toEqual(['0/ip', '0/ipv4/0', '0/ipv6/0'])
  expect(networks['0/ip']).toMatch(new RegExp(`^10\\.${a}\\.${b}\\.\\d+$`))
  await pool.call('VM.hard_shutdown', vm)
  expect(await pool.call('VM.get_guest_metrics', vm)).toBe('OpaqueRef:NULL')
  expect(await failure(pool.call('VM_guest_metrics.get_networks', metrics))).toEqual([
    'HANDLE_INVALID',
    'VM_guest_metrics',
    metrics,
  ])
})

test('a guest that was held when it would have told its addresses tells them when it goes on', async () => {
  const pool = await TestPool.open()
  const vm = await pool.makeWholeVm()
  await pool.call('VM.start', vm, true, false)
  await pool.clock.advance(60_000)
  expect(await pool.call('VM.get_guest_metrics', vm)).toBe('OpaqueRef:NULL')
  await pool.call('VM.unpause', vm)
  await pool.clock.advance(60_000)
  expect(await pool.call('VM.get_guest_metrics', vm)).not.toBe('OpaqueRef:NULL')
})

test('a guest that shuts down by itself is halted, or started again if that is set', async () => {
  const pool = await TestPool.open()
  const [halts, restarts] = [await pool.makeVm(), await pool.makeVm({ actions_after_shutdown: 'restart' })]
  for (const vm of [halts, restarts]) await start(pool, vm)
  const domain = await pool.call('VM.get_domid', restarts)
  for (const vm of [halts, restarts]) pool.control.shutDownGuest(vm)
  expect(await pool.call('VM.get_power_state', halts)).toBe('Halted')
  expect(await pool.call('VM.get_power_state', restarts)).toBe('Running')
  expect(await pool.call('VM.get_domid', restarts)).not.toBe(domain)
})

describe('a machine made from another', () => {
  test('has disks and addresses of its own, and is not blocked', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeWholeVm({ other_config: { kept: '1' } })
    await pool.call('VM.set_blocked_operations', vm, { start: 'parked' })
    const clone = await pool.call('VM.clone', vm, 'clone')
    const devices = (of: string) => {
      const { VBDs, VIFs } = pool.control.database.get('VM', of)
      return [
        ...VBDs.map((vbd) => pool.control.database.get('VBD', vbd).VDI),
        ...VIFs.map((vif) => pool.control.database.get('VIF', vif).MAC),
      ]
    }
    expect(devices(clone)).toHaveLength(2)
    expect(devices(clone).filter((device) => devices(vm).includes(device))).toEqual([])
    expect(pool.control.database.get('VM', clone)).toMatchObject({
      name_label: 'clone',
      blocked_operations: {},
      other_config: { kept: '1', mac_seed: expect.any(String) },
    })
    const snapshot = await pool.call('VM.snapshot', vm, 'snapshot')
    expect(await pool.call('VM.get_snapshots', vm)).toEqual([snapshot])
    expect(devices(snapshot)[1]).toBe(devices(vm)[1])
  })

  test('leaves nothing behind when its disks do not fit', async () => {
    const pool = await TestPool.open({ srs: [{ name: 'thick', type: 'lvm', size: 6 * mebibyte }] })
    const vm = await pool.makeVm()
    for (const size of [1, 1]) await pool.makeVbd(vm, await pool.makeVdi(size))
    const count = () => ['VM', 'VDI', 'VBD'].map((name) => pool.control.database.rows(name as 'VM').length)
    const before = count()
    expect((await failure(pool.call('VM.clone', vm, 'clone')))[0]).toBe('SR_FULL')
    expect(count()).toEqual(before)
  })

  test('is provisioned with the disks that its template asks for', async () => {
    const pool = await TestPool.open()
    const disks = '<provision><disk device="0" size="8388608" sr="" bootable="true" type="system"/></provision>'
    const template = await pool.makeVm({ is_a_template: true, other_config: { disks } })
    const vm = await pool.call('VM.clone', template, 'machine')
    await pool.call('VM.provision', vm)
    const { is_a_template, other_config, VBDs } = pool.control.database.get('VM', vm)
    expect([is_a_template, other_config['disks'], other_config['base_template_name']]).toEqual([
      false,
      undefined,
      'machine',
    ])
    const { VDI, userdevice, bootable } = pool.control.database.get('VBD', VBDs[0] ?? '')
    expect([userdevice, bootable, pool.control.database.get('VDI', VDI).virtual_size]).toEqual(['0', true, 8388608])
    expect(await failure(pool.call('VM.provision', vm))).toEqual(['ONLY_PROVISION_TEMPLATE'])
  })
})

test('limits of memory and processors are kept in order', async () => {
  const pool = await TestPool.open()
  const vm = await pool.makeVm()
  expect(await failure(pool.call('VM.set_memory_limits', vm, 2, 1, 1, 1))).toEqual([
    'MEMORY_CONSTRAINT_VIOLATION_ORDER',
  ])
  expect(await failure(pool.call('VM.set_VCPUs_at_startup', vm, 3))).toEqual(['INVALID_VALUE', 'VCPUs_at_startup', '3'])
  await start(pool, vm)
  expect(await failure(pool.call('VM.set_VCPUs_max', vm, 4))).toEqual(['VM_BAD_POWER_STATE', vm, 'halted', 'running'])
})

test('a machine that is destroyed leaves its disks alone', async () => {
  const pool = await TestPool.open()
  const vm = await pool.makeWholeVm()
  const disks = pool.control.database.all('VDI').length
  await pool.call('VM.destroy', vm)
  const left = (['VBD', 'VIF', 'VBD_metrics', 'VIF_metrics', 'console'] as const).map(
    (name) => pool.control.database.all(name).length,
  )
  expect([...left, pool.control.database.all('VDI').length]).toEqual([0, 0, 0, 0, 0, disks])
  expect(await pool.call('VDI.get_VBDs', pool.control.database.all('VDI')[0]?.[0])).toEqual([])
})
