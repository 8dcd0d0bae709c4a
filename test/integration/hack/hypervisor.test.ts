import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Hypervisor, removeLeftovers, startHypervisor } from '../../../hack/hypervisor/index.ts'
import { run, runOrFail } from '../../../hack/hypervisor/process.ts'
import { type InstanceRecord, readRecords } from '../../../hack/hypervisor/records.ts'
import { eventually, virshOrFail } from './guest.ts'

/** A guest without a disk: its firmware finds nothing to boot, and it runs on. */
const idleGuest = (name: string) =>
  `<domain type='qemu'><name>${name}</name><memory unit='MiB'>32</memory><os><type arch='x86_64'>hvm</type></os></domain>`

async function startIdleGuest(hypervisor: Hypervisor, name: string): Promise<void> {
  const xml = join(hypervisor.directory, `${name}.xml`)
  writeFileSync(xml, idleGuest(name))
  await virshOrFail(hypervisor, ['create', xml])
}

function recordOf(directory: string): InstanceRecord {
  const record = readRecords().find((candidate) => candidate.directory === directory)
  if (record === undefined) throw new Error(`no record of ${directory}`)
  return record
}

/** Everything on the machine that belongs to one hypervisor; `netns` is the link text of its network namespace. */
async function traces(record: InstanceRecord, subnet: string, netns: string): Promise<string[]> {
  const found: string[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/ns/net`) === netns) found.push(`process ${pid}`)
    } catch {
      // It has ended meanwhile.
    }
  }
  const names = [record.directory, record.networkNamespace]
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  found.push(...mounts.filter((mount) => names.some((name) => mount.includes(name))))
  if ((await runOrFail('ip', ['netns', 'list'])).includes(record.networkNamespace)) found.push('network namespace')
  if ((await runOrFail('ip', ['route', 'show'])).includes(subnet)) found.push(`route to ${subnet}`)
  const link = await run('ip', ['link', 'show', String(record.hostInterface)])
  if (link.code === 0) found.push(`interface ${record.hostInterface}`)
  if (existsSync(record.directory)) found.push(record.directory)
  if (readRecords().some(({ id }) => id === record.id)) found.push('record')
  return found
}

async function tracer(directory: string, subnet: string): Promise<() => Promise<string[]>> {
  const record = recordOf(directory)
  const netns = readlinkSync(`/proc/${record.init?.pid}/ns/net`)
  return () => traces(record, subnet, netns)
}

async function allGone(remaining: () => Promise<string[]>): Promise<void> {
  let last: string[] = []
  await eventually('the hypervisor to be gone', 10_000, async () => {
    last = await remaining()
    return last.length === 0 ? true : undefined
  }).catch(() => undefined)
  expect(last).toEqual([])
}

/** The machine's own libvirt files and the routes that lead elsewhere: a local hypervisor must not change them. */
async function machineState(): Promise<string> {
  const own = ['/etc/libvirt', '/var/lib/libvirt', '/var/cache/libvirt', '/var/log/libvirt'].filter(existsSync)
  const files = await runOrFail('find', [...own, '-printf', '%p %s %T@\\n'])
  return `${files}${await runOrFail('ip', ['route', 'show', 'default'])}`
}

describe('two local hypervisors side by side', () => {
  let before: string
  let one: Hypervisor
  let other: Hypervisor

  beforeAll(async () => {
    before = await machineState()
    const started = performance.now()
    ;[one, other] = await Promise.all([startHypervisor({ name: 'one' }), startHypervisor({ name: 'other' })])
    console.info(`two hypervisors: ${Math.round(performance.now() - started)} ms`)
  }, 60_000)

  afterAll(async () => {
    await Promise.all([one?.stop(), other?.stop()])
  })

  test('each virsh sees its own guests, network and host name only', async () => {
    await startIdleGuest(one, 'same-name')
    await startIdleGuest(other, 'same-name')
    await virshOrFail(other, ['destroy', 'same-name'])
    expect(await virshOrFail(one, ['list', '--name'])).toContain('same-name')
    expect(await virshOrFail(other, ['list', '--name'])).not.toContain('same-name')
    expect((await virshOrFail(one, ['hostname'])).trim()).toBe('one')
    expect((await virshOrFail(other, ['hostname'])).trim()).toBe('other')
    expect(one.subnet).not.toBe(other.subnet)
    expect(await virshOrFail(one, ['net-list', '--name'])).toContain('default')
    expect(await virshOrFail(one, ['pool-list', '--name'])).toContain('default')
  }, 30_000)

  test('TLS lets the listed certificate in, and neither an unlisted one nor that of the neighbour', async () => {
    const connect = (directory: string) => run('virsh', ['-c', `${one.tlsUri}?pkipath=${directory}`, 'hostname'])
    expect((await connect(one.pki.directory)).stdout.trim()).toBe('one')
    for (const directory of [one.pki.unlisted.directory, other.pki.directory]) {
      expect((await connect(directory)).code).not.toBe(0)
    }
  }, 30_000)

  test('a killed daemon leaves its guests running, and a restarted one finds them and the network', async () => {
    await startIdleGuest(one, 'survivor')
    await one.killDaemon()
    expect((await one.virsh(['list'])).code).not.toBe(0)
    await one.restartDaemon()
    expect(await virshOrFail(one, ['list', '--name', '--state-running'])).toContain('survivor')
    await one.restartDaemon()
    expect(await virshOrFail(one, ['list', '--name', '--state-running'])).toContain('survivor')
    expect(await virshOrFail(one, ['net-list', '--name'])).toContain('default')
    // Process 1 must reap QEMU, or libvirt waits in vain for it to vanish.
    await virshOrFail(one, ['destroy', 'survivor'])
  }, 30_000)

  test('a hypervisor reaches a server of the machine, and nothing beyond the machine', async () => {
    const server = createServer((_request, response) => response.end('hello'))
    server.listen(0, one.hostAddress)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const fetched = await one.run(process.execPath, [
      '--eval',
      `fetch('http://${one.hostAddress}:${port}').then((answer) => answer.text()).then(console.log)`,
    ])
    server.close()
    expect(fetched.stdout.trim()).toBe('hello')
    expect((await one.run('ip', ['route', 'show', 'default'])).stdout).toBe('')
  }, 30_000)

  test('stop leaves nothing behind, guests included, and the neighbour and the machine untouched', async () => {
    await startIdleGuest(one, 'left-running')
    const remaining = await tracer(one.directory, one.subnet)
    expect((await remaining()).length).toBeGreaterThan(5)
    const started = performance.now()
    await one.stop()
    console.info(`stop: ${Math.round(performance.now() - started)} ms`)
    expect(await remaining()).toEqual([])
    expect((await other.virsh(['list'])).code).toBe(0)
    await expect(one.stop()).resolves.toBeUndefined()
    expect(await machineState()).toBe(before)
  }, 30_000)
})

describe('a hypervisor of an owner that dies', () => {
  const children: ChildProcess[] = []
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL')
  })

  /** Starts a hypervisor owned by another process; answers what traces it has. */
  async function ownedByAnother(): Promise<{
    owner: ChildProcess
    record: InstanceRecord
    remaining: () => Promise<string[]>
  }> {
    const module = fileURLToPath(new URL('../../../hack/hypervisor/index.ts', import.meta.url))
    const script = `import { startHypervisor } from ${JSON.stringify(module)}
      const { directory, subnet } = await startHypervisor({ name: 'orphan' })
      console.log(JSON.stringify({ directory, subnet }))
      setInterval(() => undefined, 1000)`
    const owner = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(owner)
    const [line] = (await once(owner.stdout, 'data')) as [Buffer]
    const { directory, subnet } = JSON.parse(String(line)) as { directory: string; subnet: string }
    return { owner, record: recordOf(directory), remaining: await tracer(directory, subnet) }
  }

  test('ends with its owner, even if that is killed', async () => {
    const { owner, remaining } = await ownedByAnother()
    owner.kill('SIGKILL')
    await allGone(remaining)
  }, 30_000)

  test('is removed by the next start if its supervisor was killed too', async () => {
    const { owner, record, remaining } = await ownedByAnother()
    const parent = async (pid: string) => (await runOrFail('ps', ['-o', 'ppid=', '-p', pid])).trim()
    const supervisor = await parent(await parent(String(record.init?.pid)))
    process.kill(Number(supervisor), 'SIGKILL')
    const died = once(owner, 'exit')
    owner.kill('SIGKILL')
    await died
    // Any hypervisor that starts on this machine does the same, perhaps before us.
    await removeLeftovers()
    await allGone(remaining)
  }, 30_000)

  test('is left alone while its owner lives', async () => {
    const { owner, record, remaining } = await ownedByAnother()
    expect(await removeLeftovers()).not.toContain(record.id)
    expect(await remaining()).toContain('network namespace')
    owner.kill('SIGTERM')
    await allGone(remaining)
  }, 30_000)
})

describe('startHypervisor refuses', () => {
  test('a directory with files in it, and leaves them', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-precious-'))
    writeFileSync(join(directory, 'precious'), 'kept')
    await expect(startHypervisor({ name: 'refused', directory })).rejects.toThrow('is not empty')
    expect(readFileSync(join(directory, 'precious'), 'utf8')).toBe('kept')
    rmSync(directory, { recursive: true })
  })

  test.each([
    [{ name: 'Upper Case' }, 'no name for a hypervisor'],
    [{ name: 'refused', directory: '/run/berth-refused' }, 'cannot lie in /run'],
    [{ name: 'refused', directory: "/tmp/quote'd" }, 'letters, digits'],
    [{ name: 'refused', directory: `/tmp/${'long/'.repeat(25)}` }, 'too long'],
  ])('%j', async (options, message) => {
    await expect(startHypervisor(options)).rejects.toThrow(message)
  })

  test('a subnet that cannot hold guests, and removes what it had begun', async () => {
    await expect(startHypervisor({ name: 'refused', subnet: '10.99.0.0/31' })).rejects.toThrow('prefix of 8 to 29')
    expect(readRecords().filter(({ id }) => id.startsWith('refused-'))).toEqual([])
  }, 30_000)
})
