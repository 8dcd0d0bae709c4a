/** What only pools have: sessions that expire, masters that change, certificates, tasks, tokens of events. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { Client } from '../../controller/drivers/xapi/client.ts'
import { xapiDriver } from '../../controller/drivers/xapi/index.ts'
import { trustingConnector } from '../../controller/drivers/xapi/trust.ts'
import { BerthError, isBerthError } from '../../controller/errors/index.ts'
import { eventually } from '../../controller/hypervisor/contract/expectations.ts'
import {
  type CallOptions,
  type DiskSpec,
  type HypervisorEvent,
  type ImageContent,
  type MachineSpec,
  type Session,
  volumeNames,
  type XAPITarget,
} from '../../controller/hypervisor/port.ts'
import { type RunningPool, XapiError } from '../../xapi-simulator/index.ts'
import { startPools, type XAPIPools } from '../support/xapi-pools.ts'

const MiB = 2 ** 20
let pools: XAPIPools
let pool: RunningPool
let other: RunningPool
const open: Session[] = []

beforeAll(async () => {
  const srs = [{ name: 'Shared', type: 'nfs', shared: true, size: 4096 * MiB }]
  pools = await startPools([
    { name: 'first', members: 3, srs, networks: [{ name: 'LAN', bridge: 'xenbr0' }] },
    { name: 'second', srs: [...srs, { name: 'Local', type: 'ext', size: 64 * MiB }] },
  ])
  const [first, second] = pools.pools
  if (first === undefined || second === undefined) throw new Error('two pools were to be started')
  pool = first
  other = second
  pool.control.setGuest({ agent: false })
}, 60_000)
beforeEach(async () => {
  pool.control.clearFaults()
  await Promise.all(open.splice(0).map((session) => session.close()))
})
afterAll(async () => {
  await Promise.all(open.map((session) => session.close()))
  await pools.stop()
})

async function connect(changes: Partial<XAPITarget> = {}, where = pool): Promise<Session> {
  const session = await xapiDriver.connect(pools.target(where, changes))
  open.push(session)
  return session
}

function machine(instanceID: string = randomUUID(), changes: Partial<MachineSpec> = {}): MachineSpec {
  return {
    tag: {
      schema: 1,
      cluster: '0c1f6f4e-6a2c-4a44-9a5e-6c3f0c1d2e3f',
      namespace: 'team',
      name: 'web',
      uid: instanceID,
      instanceID,
      owner: '',
      slot: 's1',
    },
    hostName: `team_${instanceID.slice(0, 8)}`,
    cpus: 1,
    memory: 32 * MiB,
    architecture: 'x86_64',
    disks: [],
    seed: { pool: 'Shared', volume: volumeNames.seed(instanceID), files: { 'meta-data': '', 'user-data': '' } },
    interfaces: [{ name: 'eth0', macAddress: '52:54:00:aa:bb:cc', attachment: { xapiNetwork: 'LAN' } }],
    ...changes,
  }
}

async function defined(session: Session, spec = machine()): Promise<string> {
  await session.define(spec)
  return spec.tag.instanceID
}

function image(content = randomBytes(MiB)): ImageContent {
  const digest = createHash('sha256').update(content).digest('hex')
  return {
    digest,
    length: content.length,
    format: 'raw',
    async *open() {
      yield content
    },
  }
}

/** Whose power is changed step by step, by calls whose answers are lost. */
const lostAnswers = randomUUID()

const vmsOf = (instanceID: string) =>
  pool.control.database.all('VM').filter(([, { other_config }]) => other_config['berth.dev/instanceID'] === instanceID)
const vmOf = (instanceID: string): string => vmsOf(instanceID)[0]?.[0] ?? 'none'
const tasks = () => pool.control.database.all('task').map(([, { name_label }]) => name_label)

describe('who is trusted', () => {
  test('a host of a private CA is, with that CA alone', async () => {
    await connect()
    const credentials = { username: 'root', password: 'x' }
    await expect(connect({ credentials })).rejects.toMatchObject({ code: 'CertificateInvalid' })
  })

  test('a pinned certificate is, without any CA; another one is not, with the right CA', async () => {
    const { username, password, certificateAuthority } = pools.target(pool).credentials ?? {}
    const login = { username: username ?? '', password: password ?? '' }
    const session = await connect({ credentials: login, certificateFingerprints: [pools.fingerprint] })
    // Uploads have connections of their own.
    await session.placeImage('Shared', image(), () => undefined)
    const credentials = { ...login, certificateAuthority: certificateAuthority ?? '' }
    const wrong = [pools.fingerprint.replace(/^../, (byte) => (byte === '00' ? '01' : '00'))]
    await expect(connect({ credentials, certificateFingerprints: wrong })).rejects.toMatchObject({
      code: 'CertificateInvalid',
      message: expect.stringContaining(pools.fingerprint),
    })
  })

  test('a name that the certificate does not have is refused, though the CA is right', async () => {
    const members = pool.urls.map((url) => url.replace(/127\.0\.0\.\d/, 'localhost'))
    await expect(connect({ members })).rejects.toMatchObject({ code: 'CertificateInvalid' })
  })

  test('a CA that is none, no password, and a wrong password are CredentialsInvalid, without the password', async () => {
    const { username = '', certificateAuthority = '' } = pools.target(pool).credentials ?? {}
    for (const credentials of [
      { username, password: 'hunter2', certificateAuthority: 'not PEM' },
      { username, certificateAuthority },
      { username, password: 'hunter2', certificateAuthority },
    ]) {
      const error: unknown = await connect({ credentials }).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'CredentialsInvalid' })
      expect(JSON.stringify([error, String(error), (error as Error).cause])).not.toContain('hunter2')
    }
  })
})

describe('sessions', () => {
  test('several pools at once, each by its own id', async () => {
    const [first, second] = await Promise.all([connect(), connect({}, other)])
    expect(first.information).toMatchObject({ hostName: 'first', members: [{}, {}, {}] })
    expect(first.information.id).not.toBe(second.information.id)
    expect(await second.pool({ name: 'Local' })).toMatchObject({ type: 'SR', active: true })
    expect(await first.pool({ name: 'Local' })).toBeUndefined()
  })

  test('one that expired is replaced without anybody noticing', async () => {
    const session = await connect()
    const id = await defined(session)
    pool.control.endSessions()
    await session.start(id)
    expect((await session.observe(id)).machine).toMatchObject({ power: 'Running' })
    await session.powerOff(id)
  })

  test('a member that is a slave names the master, and the session goes there', async () => {
    const session = await connect({ members: pool.urls.slice(1) })
    expect(session.information.hostName).toBe('first')
  })

  test('a member that is down is passed over', async () => {
    await connect({ members: ['https://127.0.0.1:1', ...pool.urls] })
  })

  test('when the master changes the session follows to the other, and so do uploads', async () => {
    const session = await connect()
    const id = await defined(session)
    pool.control.setMaster(1)
    try {
      expect((await session.observe(id)).machine).toMatchObject({ parked: false })
      const placed = image()
      await session.placeImage('Shared', placed, () => undefined)
      expect((await session.placedImage('Shared', placed.digest)).state).toBe('Complete')
    } finally {
      pool.control.setMaster(0)
    }
  })

  test('a password that was changed ends the session with the next login', async () => {
    const session = await connect()
    const login = { kind: 'fail', error: new XapiError('SESSION_AUTHENTICATION_FAILED', 'root', 'no') } as const
    pool.control.fault('session.login_with_password', login, Number.POSITIVE_INFINITY)
    pool.control.endSessions()
    expect(await session.closed).toMatchObject({ code: 'CredentialsInvalid' })
  })

  test('one that is closed leaves no session on the pool', async () => {
    const before = pool.control.database.all('session').length
    const session = await xapiDriver.connect(pools.target(pool))
    expect(pool.control.database.all('session')).toHaveLength(before + 1)
    await session.close()
    expect(pool.control.database.all('session')).toHaveLength(before)
  })

  test('a pool that answers no more ends the session: nothing is believed about it', async () => {
    const session = await connect({ callTimeout: 200 })
    pool.control.fault('event.from', { kind: 'reset', when: 'before' })
    // Whatever happens wakes the reader, who asks again.
    pool.control.makeForeign('noise')
    expect(await session.closed).toMatchObject({ code: 'HypervisorUnreachable' })
  })
})

describe('events', () => {
  async function listening(session: Session) {
    const events: HypervisorEvent[] = []
    const stop = new AbortController()
    const ended = (async () => {
      for await (const event of session.events(stop.signal)) events.push(event)
    })()
    await eventually(async () => events.length > 0)
    const end = () => {
      stop.abort()
      return ended
    }
    return { events, end }
  }

  test('tell the instance of a machine, and nothing of what nobody asks for', async () => {
    const id = await defined(await connect())
    // One that comes later is not told how the machine was made.
    const session = await connect()
    const { events, end } = await listening(session)
    const vm = vmOf(id)
    pool.control.database.update('VM', vm, { memory_target: 1 })
    await session.park(id)
    await eventually(async () => events.length > 1)
    await end()
    expect(events[0]?.type).toBe('Gap')
    expect(events.slice(1)).toEqual([
      { type: 'Machine', id: (await session.observe(id)).machine?.id, instanceID: id, detail: 'Halted' },
    ])
  })

  test('that the pool has lost are told as a Gap, and later ones are told again', async () => {
    const session = await connect()
    const id = await defined(session)
    const { events, end } = await listening(session)
    pool.control.loseEvents()
    pool.control.makeForeign('noise')
    await eventually(async () => events.filter(({ type }) => type === 'Gap').length === 2)
    await session.park(id)
    await eventually(async () => events.some((event) => event.type === 'Machine' && event.instanceID === id))
    await end()
  })

  test('what happens while lost ones are made up for is told too', async () => {
    const session = await connect()
    const id = await defined(session)
    const stop = new AbortController()
    pool.control.loseEvents()
    let gaps = 0
    for await (const event of session.events(stop.signal)) {
      if (event.type === 'Gap') {
        gaps++
        if (gaps === 1) pool.control.makeForeign('noise')
        // A reader may have listed everything by now.
        if (gaps === 2) pool.control.database.update('VM', vmOf(id), { name_label: 'changed' })
      } else if (gaps === 2 && event.instanceID === id) stop.abort()
    }
    expect(gaps).toBe(2)
  }, 15_000)

  test('after a new login everything is looked at again: tokens of another master may be ahead of this one', async () => {
    const session = await connect()
    const { events, end } = await listening(session)
    pool.control.endSessions()
    // The reader waits with its new session until something happens.
    await session.list()
    pool.control.makeForeign('noise')
    await eventually(async () => events.filter(({ type }) => type === 'Gap').length === 2)
    await end()
  }, 30_000)

  test('a machine that becomes a template is told as removed', async () => {
    const session = await connect()
    const id = await defined(session)
    const { events, end } = await listening(session)
    pool.control.database.update('VM', vmOf(id), { is_a_template: true })
    await eventually(async () => events.some((event) => event.type === 'Machine' && event.detail === 'Removed'))
    await end()
  })

  test('a pool that refuses them is not connected to: there would be a new login at once, again and again', async () => {
    const refused = { kind: 'fail', error: new XapiError('RBAC_PERMISSION_DENIED', 'event.from', 'no') } as const
    pool.control.fault('event.from', refused)
    await expect(connect()).rejects.toMatchObject({ code: 'CredentialsInvalid' })
  })

  test('several readers share one reading of the pool', async () => {
    const session = await connect()
    const [one, two] = await Promise.all([listening(session), listening(session)])
    const id = await defined(session)
    for (const { events } of [one, two]) {
      await eventually(async () => events.some((event) => event.type === 'Machine' && event.instanceID === id))
    }
    await Promise.all([one.end(), two.end()])
  })
})

describe('effects that are not known', () => {
  test('a task that outlasts its deadline is Ambiguous; nothing is begun while it goes on; then it is seen', async () => {
    const session = await connect({ callTimeout: 1_500 })
    const id = await defined(session)
    pool.control.setDuration('VM.start', 3_000)
    try {
      await expect(session.start(id)).rejects.toMatchObject({ code: 'CallTimedOut', class: 'Ambiguous' })
      await expect(session.start(id)).rejects.toMatchObject({ code: 'HypervisorBusy' })
      await expect(session.define(machine(id))).rejects.toMatchObject({ code: 'HypervisorBusy' })
      await eventually(async () => (await session.observe(id)).machine?.power === 'Running')
    } finally {
      pool.control.setDuration('VM.start', 0)
    }
    await session.powerOff(id)
  })

  test('a machine is not parked while a start goes on that was let in before: it will run', async () => {
    const session = await connect({ callTimeout: 1_000 })
    const id = await defined(session)
    pool.control.setDuration('VM.start', 4_000)
    try {
      await expect(session.start(id)).rejects.toMatchObject({ code: 'CallTimedOut' })
      await expect(session.park(id)).rejects.toMatchObject({ code: 'HypervisorBusy' })
      expect((await session.observe(id)).machine).toMatchObject({ power: 'Stopped', parked: false })
      await eventually(async () => (await session.observe(id)).machine?.power === 'Running')
    } finally {
      pool.control.setDuration('VM.start', 0)
    }
    await session.park(id)
    expect((await session.observe(id)).machine).toMatchObject({ power: 'Running', parked: true })
    await session.powerOff(id)
  })

  test('a suspend that outlasts its deadline holds the machine for a job; a power cut ends it', async () => {
    const session = await connect({ callTimeout: 1_000 })
    const id = await defined(session)
    await session.start(id)
    const held = async () => {
      await expect(session.suspend(id)).rejects.toMatchObject({ code: 'CallTimedOut', class: 'Ambiguous' })
      expect((await session.observe(id)).machine).toMatchObject({ power: 'Paused', pauseReason: 'Job' })
      for (const call of [session.start(id), session.unpause(id), session.suspend(id)]) {
        await expect(call).rejects.toMatchObject({ code: 'HypervisorBusy' })
      }
    }
    pool.control.setDuration('VM.suspend', 3_000)
    try {
      await held()
      await session.powerOff(id)
      expect((await session.observe(id)).machine?.power).toBe('Stopped')
      await session.start(id)
      await held()
      await eventually(async () => (await session.observe(id)).machine?.power === 'Suspended')
    } finally {
      pool.control.setDuration('VM.suspend', 0)
    }
    await session.suspend(id)
    await session.discardMemory(id)
  })

  test.each([
    ['suspend', 'VM.suspend', 'Suspended'],
    ['start', 'VM.resume', 'Running'],
    ['pause', 'VM.pause', 'Paused'],
    ['unpause', 'VM.unpause', 'Running'],
    ['suspend', 'VM.suspend', 'Suspended'],
    ['discardMemory', 'VM.hard_shutdown', 'Stopped'],
  ] as const)(
    '%s: done, though the answer was lost; the same again changes nothing',
    async (method, message, power) => {
      const session = await connect()
      if (vmsOf(lostAnswers).length === 0) await session.start(await defined(session, machine(lostAnswers)))
      pool.control.fault(message, { kind: 'reset', when: 'after' })
      await expect(session[method](lostAnswers)).rejects.toMatchObject({ class: 'Ambiguous' })
      await eventually(async () => (await session.observe(lostAnswers)).machine?.power === power)
      await session[method](lostAnswers)
      expect((await session.observe(lostAnswers)).machine?.power).toBe(power)
    },
  )

  test('waits for many tasks keep no other call from being sent', async () => {
    const { members, credentials: { username = '', password = '', certificateAuthority = '' } = {} } =
      pools.target(pool)
    const connector = trustingConnector({ certificateAuthority }, 10_000)
    const [member = ''] = members
    const client = await Client.open({ member, username, password, connector, callTimeout: 1_000 }, {})
    const created = Array.from({ length: 24 }, () => client.change<string>('task.create', ['waited for', ''], {}))
    const pending = await Promise.all(created)
    // One that is gone is not waited for again and again.
    await expect(client.follow('OpaqueRef:gone', {}, 500)).rejects.toMatchObject({ code: 'ConnectionLost' })
    pool.control.fault('event.from', { kind: 'hang', when: 'before' }, Number.POSITIVE_INFINITY)
    const waits = pending.map((task) => client.follow(task, {}).catch(() => 'a wait that ended first'))
    const read = client.read('pool.get_all').then(
      () => 'the call',
      () => 'no answer',
    )
    try {
      expect(await Promise.race([read, ...waits])).toBe('the call')
    } finally {
      await client.close()
      await Promise.all(waits)
      for (const [task, { name_label }] of pool.control.database.all('task')) {
        if (name_label === 'waited for') pool.control.database.remove('task', task)
      }
    }
  }, 30_000)

  test('an upload that a host never answers ends, as any call', async () => {
    const session = await connect({ callTimeout: 500 })
    pool.control.fault('/import_raw_vdi', { kind: 'hang', when: 'before' })
    const placed = image()
    await expect(session.placeImage('Shared', placed, () => undefined)).rejects.toMatchObject({ code: 'CallTimedOut' })
  }, 15_000)

  test.each(['before', 'after'] as const)(
    'a start whose connection breaks %s it is Ambiguous, then looked at',
    async (when) => {
      const session = await connect()
      const id = await defined(session)
      pool.control.fault('Async.VM.start', { kind: 'reset', when })
      await expect(session.start(id)).rejects.toMatchObject({ code: 'ConnectionLost' })
      await eventually(async () => {
        const { machine: seen } = await session.observe(id)
        return seen?.power === (when === 'after' ? 'Running' : 'Stopped')
      })
      await session.powerOff(id)
    },
  )

  test('a machine that was made though nobody heard of it is found again: there are never two', async () => {
    const session = await connect()
    const spec = machine()
    const { instanceID } = spec.tag
    pool.control.fault('VM.create', { kind: 'reset', when: 'after' })
    await expect(session.define(spec)).rejects.toMatchObject({ code: 'ConnectionLost' })
    // Without its disks, it must not be able to start.
    expect((await session.observe(instanceID)).machine).toMatchObject({ parked: true, tag: spec.tag })
    await expect(session.start(instanceID)).rejects.toMatchObject({ code: 'HypervisorRefused' })
    await session.define(spec)
    expect(vmsOf(instanceID)).toHaveLength(1)
    expect((await session.observe(instanceID)).machine).toMatchObject({ parked: false })
  })

  test('of two that were made by lost calls one is gone on with, and the other is removed', async () => {
    const session = await connect()
    const spec = machine()
    const id = await defined(session, spec)
    const [[, { uuid }] = ['', { uuid: '' }]] = vmsOf(id)
    // A create that arrives late: parked, with the tag, without the mark that it is whole.
    const { 'berth.dev/self': _, ...tag } = pool.control.database.get('VM', vmOf(id)).other_config
    const late = pool.control.makeForeign('late')
    const blocked_operations = Object.fromEntries(
      ['start', 'start_on', 'resume', 'resume_on'].map((operation) => [operation, 'berth.dev: parked']),
    )
    pool.control.database.update('VM', late, { other_config: tag, blocked_operations })
    expect((await session.observe(id)).machine).toMatchObject({ id: uuid, parked: false })
    expect((await session.list()).filter(({ tag: listed }) => listed?.instanceID === id)).toHaveLength(1)
    await session.define(spec)
    expect(vmsOf(id).map(([, vm]) => vm.uuid)).toEqual([uuid])
  })

  test.each(['VM.create', 'VBD.create', 'VIF.create', 'VM.set_blocked_operations', 'VDI.create'])(
    'define goes on wherever it was broken off: at %s, before and after',
    async (method) => {
      const session = await connect()
      for (const when of ['before', 'after'] as const) {
        const spec = machine()
        const { instanceID } = spec.tag
        pool.control.fault(method, { kind: 'reset', when })
        await expect(session.define(spec)).rejects.toMatchObject({ class: 'Ambiguous' })
        await session.define(spec)
        expect((await session.observe(instanceID)).machine).toMatchObject({ parked: false, tag: spec.tag })
        const vm = pool.control.database.get('VM', vmOf(instanceID))
        expect([vmsOf(instanceID).length, vm.VBDs.length, vm.VIFs.length]).toEqual([1, 1, 1])
      }
    },
  )

  test('a copy that outlasts the call is waited for, then finished: it is never made twice', async () => {
    const placed = image()
    const session = await connect({ callTimeout: 1_500 })
    await session.placeImage('Shared', placed, () => undefined)
    const instanceID = randomUUID()
    const volume = volumeNames.disk(instanceID, 'root')
    const disk = { instanceID, pool: 'Shared', volume, image: placed, capacity: 4 * MiB }
    pool.control.setDuration('VDI.copy', 3_000)
    try {
      await expect(session.createDisk(disk)).rejects.toMatchObject({ code: 'CallTimedOut' })
      // Half a disk is told by another name, so that nobody takes it for the disk.
      expect((await session.observe(instanceID)).volumes.map(({ name }) => name)).toEqual([`${volume}~partial`])
      await expect(session.createDisk(disk)).rejects.toMatchObject({ code: 'HypervisorBusy' })
      await eventually(async () =>
        session.createDisk(disk).then(
          () => true,
          () => false,
        ),
      )
    } finally {
      pool.control.setDuration('VDI.copy', 0)
    }
    const { volumes } = await session.observe(instanceID)
    expect(volumes.map(({ name }) => name)).toEqual([volume])
    expect(tasks().filter((label) => label.includes('VDI.copy'))).toEqual([])
  })

  test('half a disk whose copy failed is made anew; what nobody finishes can be deleted', async () => {
    const placed = image()
    const session = await connect()
    await session.placeImage('Shared', placed, () => undefined)
    const instanceID = randomUUID()
    const volume = volumeNames.disk(instanceID, 'root')
    const disk = { instanceID, pool: 'Shared', volume, image: placed, capacity: 4 * MiB }
    pool.control.fault('Async.VDI.copy', { kind: 'reset', when: 'before' })
    await expect(session.createDisk(disk)).rejects.toMatchObject({ code: 'ConnectionLost' })
    await session.deleteVolume(instanceID, 'Shared', `${volume}~partial`)
    expect((await session.observe(instanceID)).volumes).toEqual([])
    await session.createDisk(disk)
    expect((await session.observe(instanceID)).volumes).toMatchObject([{ name: volume }])
  })

  test.each([1, 50, 99])('an upload that is cut at %d % is not an image, and the next one is', async (percent) => {
    const placed = image()
    const session = await connect()
    pool.control.fault('/import_raw_vdi', { kind: 'cut', afterBytes: (placed.length * percent) / 100 })
    await expect(session.placeImage('Shared', placed, () => undefined)).rejects.toThrow()
    expect((await session.placedImage('Shared', placed.digest)).state).toBe('Partial')
    await session.placeImage('Shared', placed, () => undefined)
    expect((await session.placedImage('Shared', placed.digest)).state).toBe('Complete')
  })
})

describe('what others do', () => {
  test('a clone of our machine, with our tag and disks, is not ours, and keeps what it has', async () => {
    const placed = image()
    const session = await connect()
    await session.placeImage('Shared', placed, () => undefined)
    const instanceID = randomUUID()
    const volume = volumeNames.disk(instanceID, 'root')
    await session.createDisk({ instanceID, pool: 'Shared', volume, image: placed, capacity: 4 * MiB })
    const id = await defined(session, machine(instanceID, { disks: [{ name: 'root', pool: 'Shared', volume }] }))
    const uuid = (await session.observe(id)).machine?.id
    await clone(id, 'clone')
    expect(vmsOf(id)).toHaveLength(2)
    expect((await session.observe(id)).machine?.id).toBe(uuid)
    expect((await session.list()).filter(({ tag }) => tag?.instanceID === id).map((entry) => entry.id)).toEqual([uuid])
    await session.undefine(id)
    expect((await session.observe(id)).machine).toBeUndefined()
    for (const { name } of (await session.observe(id)).volumes) await session.deleteVolume(id, 'Shared', name)
    const [[, left] = ['', undefined]] = vmsOf(id)
    expect(left?.name_label).toBe('clone')
    const disks = left?.VBDs.map((vbd) => pool.control.database.get('VBD', vbd)).filter(({ type }) => type === 'Disk')
    expect(disks?.map(({ VDI }) => pool.control.database.find('VDI', VDI)?.virtual_size)).toEqual([4 * MiB])
  })

  test('a machine that names our instance with half a tag is foreign: no effect, and why', async () => {
    const session = await connect()
    const id = randomUUID()
    const vm = pool.control.makeForeign('claims to be ours')
    pool.control.database.update('VM', vm, { other_config: { 'berth.dev/instanceID': id } })
    expect((await session.observe(id)).foreign).toContain('claims to be ours')
    for (const effect of [session.define(machine(id)), session.start(id), session.powerOff(id), session.undefine(id)]) {
      await expect(effect).rejects.toMatchObject({ code: 'ForeignObject' })
    }
    expect(pool.control.database.get('VM', vm).power_state).toBe('Halted')
  })

  test('an operation that an administrator blocks stays blocked, and is refused with the reason', async () => {
    const session = await connect()
    const id = await defined(session)
    pool.control.database.update('VM', vmOf(id), { blocked_operations: { start: 'under repair' } })
    await session.park(id)
    expect((await session.observe(id)).machine?.parked).toBe(true)
    await session.define(machine(id))
    expect((await session.observe(id)).machine?.parked).toBe(false)
    expect(pool.control.database.get('VM', vmOf(id)).blocked_operations).toEqual({ start: 'under repair' })
    await expect(session.start(id)).rejects.toMatchObject({ message: expect.stringContaining('under repair') })
  })

  test('a disk that was moved to another SR is still known, and deleted, when its machine is gone', async () => {
    const session = await connect()
    const id = await defined(session)
    const [[vdi] = ['']] = pool.control.database
      .all('VDI')
      .filter(([, { other_config }]) => other_config['berth.dev/volume'] === volumeNames.seed(id))
    // A person's copy beside it stays.
    const copy = await call('VDI.copy', vdi, pool.control.database.get('VDI', vdi).SR)
    pool.control.database.update('VDI', vdi, { uuid: randomUUID() })
    await session.undefine(id)
    expect((await session.observe(id)).volumes).toMatchObject([{ name: volumeNames.seed(id) }])
    await session.deleteVolume(id, 'Shared', volumeNames.seed(id))
    expect((await session.observe(id)).volumes).toEqual([])
    expect([pool.control.database.find('VDI', vdi), pool.control.database.find('VDI', String(copy))]).toEqual([
      undefined,
      expect.anything(),
    ])
  })

  test('a second machine of the instance that could have run is not destroyed', async () => {
    const session = await connect()
    const id = await defined(session)
    const { other_config } = pool.control.database.get('VM', vmOf(id))
    const second = pool.control.makeForeign('was a template')
    const { uuid } = pool.control.database.get('VM', second)
    pool.control.database.update('VM', second, { other_config: { ...other_config, 'berth.dev/self': uuid } })
    for (const effect of [() => session.define(machine(id)), () => session.undefine(id)]) {
      await expect(effect()).rejects.toMatchObject({ code: 'ForeignObject' })
    }
    expect(vmsOf(id)).toHaveLength(2)
  })

  test('two SRs of one name are told apart by UUID alone', async () => {
    const session = await connect({}, other)
    const [local] = other.control.database.all('SR').filter(([, { name_label }]) => name_label === 'Local')
    if (local === undefined) throw new Error('no SR')
    other.control.database.update('SR', local[0], { name_label: 'Shared' })
    await expect(session.pool({ name: 'Shared' })).rejects.toMatchObject({ code: 'InvalidConfiguration' })
    expect(await session.pool({ name: local[1].uuid })).toMatchObject({ id: local[1].uuid })
    other.control.database.update('SR', local[0], { name_label: 'Local' })
  })

  test('addresses come from the guest’s agent; a network may be named by its bridge', async () => {
    const session = await connect()
    pool.control.setGuest({ agent: true, agentDelay: 0 })
    const spec = machine(undefined, {
      interfaces: [{ name: 'eth0', macAddress: '52:54:00:aa:bb:cd', attachment: { bridge: 'xenbr0' } }],
    })
    const id = await defined(session, spec)
    await session.start(id)
    const found = await eventually(async () => {
      const [one] = await session.interfaces(id)
      return one !== undefined && one.addresses.length > 0 ? one : undefined
    })
    expect(found).toMatchObject({ macAddress: '52:54:00:aa:bb:cd', addresses: [{ prefix: 32, source: 'Agent' }, {}] })
    // The agent listens: asked, the guest goes off.
    await session.shutdown(id)
    await eventually(async () => (await session.observe(id)).machine?.power === 'Stopped')
    pool.control.setGuest({ agent: false })
  })

  test('no room in memory is told in the pool’s own words', async () => {
    const session = await connect()
    const id = await defined(session, machine(undefined, { memory: 2 ** 45 }))
    await expect(session.start(id)).rejects.toMatchObject({
      code: 'HypervisorRefused',
      message: expect.stringMatching(/NO_HOSTS_AVAILABLE|NOT_ENOUGH_FREE_MEMORY/),
    })
  })

  test('all that was done leaves no task behind', async () => {
    const session = await connect()
    const before = tasks().length
    const id = await defined(session)
    await session.start(id)
    await session.powerOff(id)
    await session.undefine(id)
    expect(tasks()).toHaveLength(before)
  })
})

/** As `xe vm-clone` does it. */
async function clone(id: string, name: string): Promise<void> {
  await call('VM.clone', vmOf(id), name)
}

/** As a person with another client. */
async function call(method: string, ...args: readonly unknown[]): Promise<unknown> {
  const { Xapi } = await import('xen-api')
  const { username = '', password = '' } = pools.target(pool).credentials ?? {}
  const options = { url: pool.urls[0] ?? '', auth: { user: username, password }, watchEvents: false as const }
  const client = new Xapi({ ...options, allowUnauthorized: true } as ConstructorParameters<typeof Xapi>[0])
  await client.connect()
  try {
    return await client.call(method, ...args)
  } finally {
    await client.disconnect()
  }
}

describe('disks of a machine that runs', () => {
  const disksOf = async (session: Session, id: string) =>
    (await session.observe(id)).machine?.disks.map(({ name, attached, defined }) => ({ name, attached, defined }))
  const root = { name: 'root', attached: true, defined: true }
  const diskOf = (instanceID: string, name: string): DiskSpec => ({
    name,
    pool: 'Shared',
    volume: volumeNames.disk(instanceID, name),
  })

  async function running(session: Session, ...names: readonly string[]): Promise<string> {
    const id = randomUUID()
    const disks = names.map((name) => diskOf(id, name))
    for (const { pool: sr, volume } of disks) {
      await session.createDisk({ instanceID: id, pool: sr, volume, capacity: 8 * MiB })
    }
    await session.define(machine(id, { disks }))
    await session.start(id)
    return id
  }

  /** Ends the call before each of its requests in turn, as a crash does. */
  async function interrupted(call: (options: CallOptions) => Promise<void>, check: () => Promise<void>) {
    for (let limit = 0; ; limit++) {
      let sent = 0
      const beforeSend = () => {
        if (sent++ === limit) throw new BerthError('NotLeader', 'the process was stopped')
      }
      const error = await call({ beforeSend }).catch((reason: unknown) => reason)
      await check()
      if (error === undefined) return
      if (!isBerthError(error, 'NotLeader')) throw error
    }
  }

  test('a crash between any two requests leaves what the same call again ends', async () => {
    const session = await connect()
    const id = await running(session, 'root')
    const data = diskOf(id, 'data')
    await interrupted(
      (options) => session.createDisk({ instanceID: id, pool: data.pool, volume: data.volume, capacity: MiB }, options),
      async () => undefined,
    )
    const volumes = (await session.observe(id)).volumes.map(({ name }) => name)
    expect(volumes.filter((name) => name.startsWith(data.volume))).toEqual([data.volume])
    for (const [call, last] of [
      [(options: CallOptions) => session.attachDisk(id, data, options), [{ ...root, name: 'data' }]],
      [(options: CallOptions) => session.detachDisk(id, 'data', options), []],
    ] as const) {
      await interrupted(call, async () => {
        const [first, ...more] = (await disksOf(session, id)) ?? []
        expect(first).toEqual(root)
        expect(more.every(({ name }) => name === 'data')).toBe(true)
      })
      expect(await disksOf(session, id)).toEqual([root, ...last])
    }
  })

  test.each(['VBD.create', 'VBD.plug'])('an attachment whose answer to %s was lost happens once', async (method) => {
    const session = await connect()
    const id = await running(session, 'root')
    const data = diskOf(id, 'data')
    await session.createDisk({ instanceID: id, pool: data.pool, volume: data.volume, capacity: MiB })
    pool.control.fault(method, { kind: 'reset', when: 'after' })
    await expect(session.attachDisk(id, data)).rejects.toMatchObject({ class: 'Ambiguous' })
    await eventually(async () => {
      await session.attachDisk(id, data)
      return true
    })
    expect(await disksOf(session, id)).toEqual([root, { ...root, name: 'data' }])
  })

  test('a guest that takes its time to let go is not waited for', async () => {
    const session = await connect()
    const id = await running(session, 'root', 'data')
    pool.control.setDuration('VBD.unplug', 7_000)
    try {
      await session.detachDisk(id, 'data')
      expect(await disksOf(session, id)).toEqual([root, { name: 'data', attached: true, defined: false }])
      // Asked twice is asked once.
      await session.detachDisk(id, 'data')
      await eventually(async () => (await disksOf(session, id))?.length === 1)
    } finally {
      pool.control.setDuration('VBD.unplug', 0)
    }
    await session.detachDisk(id, 'data')
    expect(pool.control.database.get('VM', vmOf(id)).VBDs).toHaveLength(2)
  }, 30_000)

  test('one that is paused gets none, and lets go of none before it goes on', async () => {
    const session = await connect()
    const id = await running(session, 'root', 'data')
    const more = diskOf(id, 'more')
    await session.createDisk({ instanceID: id, pool: more.pool, volume: more.volume, capacity: MiB })
    await session.pause(id)
    await expect(session.attachDisk(id, more)).rejects.toMatchObject({ code: 'HypervisorRefused' })
    await session.detachDisk(id, 'data')
    expect(await disksOf(session, id)).toEqual([root, { name: 'data', attached: true, defined: false }])
    await session.unpause(id)
    await session.detachDisk(id, 'data')
    expect(await disksOf(session, id)).toEqual([root])
  })

  test('an SR that resizes no disk that is in use says so; off, it does', async () => {
    const session = await connect()
    const id = await running(session, 'root')
    const { pool: sr, volume } = diskOf(id, 'root')
    const grown = session.growDisk(id, sr, volume, 16 * MiB)
    await expect(grown).rejects.toMatchObject({ code: 'NotSupported' })
    await session.powerOff(id)
    await session.growDisk(id, sr, volume, 16 * MiB)
    expect((await session.observe(id)).volumes).toContainEqual(
      expect.objectContaining({ name: volume, capacity: 16 * MiB }),
    )
  })

  test('the VBD of an older version is known by its volume, and a copy of the disk that somebody attached is not', async () => {
    const session = await connect()
    const id = await running(session, 'root')
    const { database } = pool.control
    const [vbd = ''] = database.get('VM', vmOf(id)).VBDs.filter((ref) => database.get('VBD', ref).userdevice === '0')
    database.update('VBD', vbd, { other_config: {} })
    expect(await disksOf(session, id)).toEqual([root])
    const copied = database.get('VDI', database.get('VBD', vbd).VDI).other_config
    const foreign = pool.control.attachForeignDisk(vmOf(id))
    database.update('VDI', database.get('VBD', foreign).VDI, { other_config: copied })
    expect(await disksOf(session, id)).toEqual([root, { name: undefined, attached: true, defined: true }])
    await session.powerOff(id)
    await session.define(machine(id, { disks: [diskOf(id, 'root')] }))
    expect(database.find('VBD', foreign)).toBeDefined()
  })
})
