import { describe, expect, test } from '@jest/globals'
import { failure, TestPool } from '../testing/client.ts'

const mebibyte = 1024 ** 2

const usage = (pool: TestPool, sr = pool.sr) => pool.control.database.get('SR', sr)

/** Two SRs: one takes what is written, one all of a disk's size. */
const thinAndThick = { srs: [{ name: 'thin' }, { name: 'thick', type: 'lvm', size: 10 * mebibyte }] }
const thick = (pool: TestPool) => pool.control.database.all('SR').find(([, { type }]) => type === 'lvm')?.[0] ?? ''

describe('a disk', () => {
  test('is made in whole blocks, listed in its SR, and counted there', async () => {
    const pool = await TestPool.open(thinAndThick)
    const thin = await pool.makeVdi(3 * mebibyte)
    expect(pool.control.database.get('VDI', thin)).toMatchObject({
      virtual_size: 4 * mebibyte,
      physical_utilisation: 0,
    })
    expect(usage(pool)).toMatchObject({ VDIs: [thin], virtual_allocation: 4 * mebibyte, physical_utilisation: 0 })
    await pool.makeVdi(3 * mebibyte, thick(pool))
    expect(usage(pool, thick(pool)).physical_utilisation).toBe(4 * mebibyte)
  })

  test('is refused by an SR that is full, does not exist or is not plugged', async () => {
    const pool = await TestPool.open(thinAndThick)
    await pool.makeVdi(8 * mebibyte, thick(pool))
    expect(await failure(pool.makeVdi(4 * mebibyte, thick(pool)))).toEqual([
      'SR_FULL',
      String(4 * mebibyte),
      String(2 * mebibyte),
    ])
    expect(await failure(pool.makeVdi(1, 'OpaqueRef:none'))).toEqual(['HANDLE_INVALID', 'SR', 'OpaqueRef:none'])
    const [pbd] = usage(pool).PBDs
    await pool.call('PBD.unplug', pbd)
    expect(await failure(pool.makeVdi())).toEqual(['SR_NO_PBDS', pool.sr])
  })

  test('gives its space back when it is destroyed, and takes the VBDs that point to it along', async () => {
    const pool = await TestPool.open(thinAndThick)
    const [vm, vdi] = [await pool.makeVm(), await pool.makeVdi(4 * mebibyte, thick(pool))]
    await pool.makeVbd(vm, vdi)
    await pool.call('VDI.destroy', vdi)
    expect(usage(pool, thick(pool))).toMatchObject({ VDIs: [], physical_utilisation: 0 })
    expect(await pool.call('VM.get_VBDs', vm)).toEqual([])
  })

  test('grows and does not shrink', async () => {
    const pool = await TestPool.open()
    const vdi = await pool.makeVdi(2 * mebibyte)
    await pool.call('VDI.resize', vdi, 4 * mebibyte)
    expect(await pool.call('VDI.get_virtual_size', vdi)).toBe(4 * mebibyte)
    expect(pool.control.readDisk(vdi, 4 * mebibyte - 1, 10)).toEqual(Buffer.alloc(1))
    expect((await failure(pool.call('VDI.resize', vdi, mebibyte)))[0]).toBe('SR_BACKEND_FAILURE_79')
  })
})

const bytes = (pool: TestPool, vdi: string) => pool.control.readDisk(vdi, 0, 2 * mebibyte)

describe('VDI.copy', () => {
  const filled = async (pool: TestPool, text: string) => {
    const vdi = await pool.makeVdi(2 * mebibyte)
    pool.pool.disk(vdi).write(mebibyte, Buffer.from(text))
    return vdi
  }

  test('into another disk overwrites its beginning and leaves its name and other_config', async () => {
    const pool = await TestPool.open()
    const source = await filled(pool, 'content')
    const target = await pool.makeVdi(6 * mebibyte)
    pool.pool.disk(target).write(5, Buffer.from('old'))
    pool.pool.disk(target).write(5 * mebibyte, Buffer.from('beyond'))
    await pool.call('VDI.add_to_other_config', target, 'owner', 'me')
    expect(await pool.call('VDI.copy', source, 'OpaqueRef:NULL', 'OpaqueRef:NULL', target)).toBe(target)
    expect(bytes(pool, target).equals(bytes(pool, source))).toBe(true)
    expect(pool.control.readDisk(target, 5 * mebibyte, 6).toString()).toBe('beyond')
    expect(await pool.call('VDI.get_other_config', target)).toEqual({ owner: 'me' })
    pool.pool.disk(target).write(mebibyte, Buffer.from('CHANGED'))
    expect(pool.control.readDisk(source, mebibyte, 7).toString()).toBe('content')
  })

  test('to another SR makes a disk there', async () => {
    const pool = await TestPool.open(thinAndThick)
    const source = await filled(pool, 'content')
    const copy = await pool.call('VDI.copy', source, thick(pool))
    expect(pool.control.database.get('VDI', copy)).toMatchObject({ SR: thick(pool), virtual_size: 2 * mebibyte })
    expect(pool.control.readDisk(copy, mebibyte, 7).toString()).toBe('content')
  })

  test('is refused into a disk that is too small, read-only or attached, and into an SR that is full', async () => {
    const pool = await TestPool.open(thinAndThick)
    const source = await pool.makeVdi(4 * mebibyte)
    const into = (target: string) => failure(pool.call('VDI.copy', source, 'OpaqueRef:NULL', 'OpaqueRef:NULL', target))
    const target = await pool.makeVdi(2 * mebibyte)
    expect(await into(target)).toEqual(['VDI_TOO_SMALL', target, String(4 * mebibyte)])
    const readOnly = await pool.makeVdi(4 * mebibyte)
    await pool.call('VDI.set_read_only', readOnly, true)
    expect(await into(readOnly)).toEqual(['VDI_READONLY', readOnly])
    const attached = await pool.makeVdi(4 * mebibyte)
    const vm = await pool.makeVm()
    await pool.makeVbd(vm, attached)
    await pool.call('VM.start', vm, false, false)
    expect(await into(attached)).toEqual(['VDI_IN_USE', attached, 'copy'])
    await pool.makeVdi(8 * mebibyte, thick(pool))
    expect((await failure(pool.call('VDI.copy', source, thick(pool))))[0]).toBe('SR_FULL')
  })

  test('keeps the source from being destroyed no longer than a copy goes on', async () => {
    const pool = await TestPool.open()
    const source = await pool.makeVdi()
    pool.control.setDuration('VDI.copy', 1000)
    pool.control.setDuration('VDI.clone', 1000)
    const task = await pool.call('Async.VDI.copy', source, pool.sr)
    expect(await pool.call('VDI.get_current_operations', source)).toEqual({ [task]: 'copy' })
    await pool.clock.advance(1000)
    const clone = await pool.call('Async.VDI.clone', source)
    const destroy = await failure(pool.call('VDI.destroy', source))
    expect(destroy).toEqual(['OTHER_OPERATION_IN_PROGRESS', 'VDI', source, 'clone', clone])
  })
})

describe('a disk that a running machine has', () => {
  test('is neither destroyed nor copied, yet cloned and snapshotted', async () => {
    const pool = await TestPool.open()
    const [vm, vdi] = [await pool.makeVm(), await pool.makeVdi()]
    await pool.makeVbd(vm, vdi)
    await pool.call('VM.start', vm, false, false)
    expect(await failure(pool.call('VDI.destroy', vdi))).toEqual(['VDI_IN_USE', vdi, 'destroy'])
    expect(await failure(pool.call('VDI.copy', vdi, pool.sr))).toEqual(['VDI_IN_USE', vdi, 'copy'])
    expect(await pool.call('VDI.get_allowed_operations', vdi)).toEqual(['clone', 'snapshot'])
    const snapshot = await pool.call('VDI.snapshot', vdi)
    expect(pool.control.database.get('VDI', snapshot)).toMatchObject({ is_a_snapshot: true, snapshot_of: vdi })
  })

  test('is unplugged, unless the guest holds on to it', async () => {
    const pool = await TestPool.open()
    const [vm, vdi] = [await pool.makeVm(), await pool.makeVdi()]
    const vbd = await pool.makeVbd(vm, vdi)
    await pool.call('VM.start', vm, false, false)
    pool.control.setGuest({ releasesDisks: false })
    expect((await failure(pool.call('VBD.unplug', vbd)))[0]).toBe('DEVICE_DETACH_REJECTED')
    expect(await pool.call('VBD.get_currently_attached', vbd)).toBe(true)
    pool.control.setGuest({ releasesDisks: true })
    await pool.call('VBD.unplug', vbd)
    expect(await pool.call('VBD.get_currently_attached', vbd)).toBe(false)
  })

  test('is not written to by a second machine, but read by two', async () => {
    const pool = await TestPool.open()
    const vdi = await pool.makeVdi()
    const [first, second] = [await pool.makeVm(), await pool.makeVm()]
    for (const vm of [first, second]) await pool.makeVbd(vm, vdi)
    await pool.call('VM.start', first, false, false)
    expect(await failure(pool.call('VM.start', second, false, false))).toEqual(['VDI_IN_USE', vdi, 'attach'])
    const shared = await pool.makeVdi()
    for (const name_label of ['a', 'b']) {
      const vm = await pool.makeVm({ name_label })
      await pool.makeVbd(vm, shared, { mode: 'RO' })
      await pool.call('VM.start', vm, false, false)
    }
  })
})

describe('VBD.create', () => {
  test('finds a free position, and refuses what is taken or cannot be', async () => {
    const pool = await TestPool.open()
    const vm = await pool.makeVm()
    const vbd = await pool.makeVbd(vm, await pool.makeVdi())
    expect(await pool.call('VBD.get_userdevice', vbd)).toBe('0')
    const refused = async (changes: object) => failure(pool.makeVbd(vm, await pool.makeVdi(), { ...changes }))
    expect(await refused({ userdevice: '0' })).toEqual(['DEVICE_ALREADY_EXISTS', '0'])
    expect(await refused({ userdevice: 'xvda' })).toEqual(['DEVICE_ALREADY_EXISTS', 'xvda'])
    expect(await refused({ userdevice: 'first' })).toEqual(['INVALID_DEVICE', 'first'])
    expect(await refused({ type: 'CD' })).toEqual(['VBD_CDS_MUST_BE_READONLY'])
    expect(await refused({ empty: true })).toEqual(['VBD_NOT_REMOVABLE_MEDIA', 'in constructor'])
    expect(await pool.call('VM.get_allowed_VBD_devices', vm)).not.toContain('0')
  })

  test('has a CD inserted and ejected', async () => {
    const pool = await TestPool.open()
    const [vm, disc] = [await pool.makeVm(), await pool.makeVdi()]
    const drive = await pool.makeVbd(vm, 'OpaqueRef:NULL', { type: 'CD', mode: 'RO', empty: true })
    expect(await failure(pool.call('VBD.eject', drive))).toEqual(['VBD_IS_EMPTY', drive])
    await pool.call('VBD.insert', drive, disc)
    expect(await failure(pool.call('VBD.insert', drive, disc))).toEqual(['VBD_NOT_EMPTY', drive])
    expect(await pool.call('VDI.get_VBDs', disc)).toEqual([drive])
    await pool.call('VBD.eject', drive)
    expect(await pool.call('VDI.get_VBDs', disc)).toEqual([])
  })
})
