import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { eventKinds } from '../../node-libvirt/events.ts'
import {
  AgentResponseTimeout,
  BlockCommitFlags,
  BlockCopyFlags,
  BlockJobAbortFlags,
  type Connection,
  CPUCompareResult,
  DeviceModifyFlags,
  type Domain,
  DomainControlState,
  DomainJobType,
  DomainMemoryFlags,
  DomainMetadataType,
  DomainModificationImpact,
  DomainState,
  DomainStatsTypes,
  DomainUndefineFlags,
  DomainVCPUFlags,
  DomainXMLFlags,
  ErrorCode,
  type EventKind,
  KeycodeSet,
  MemoryStat,
  NetworkUpdateCommand,
  NetworkUpdateFlags,
  NetworkUpdateSection,
  NodeSuspendTarget,
  SecretUsageType,
  SnapshotCreateFlags,
  VCPUState,
} from '../../node-libvirt/index.ts'
import { type ProcedureName, procedures } from '../../node-libvirt/protocol/procedures.ts'
import { RpcClient } from '../../node-libvirt/rpc/client.ts'
import { eventually, Lab } from '../integration/libvirt/support/connections.ts'

// Every procedure of the table, on a real libvirtd: QEMU, and libvirt's `test` driver, which plays a guest with an
// agent. The last test counts: a procedure that no test of this file has had answered is in a list with its reason.

/** Answered by an error here, because no guest with an agent runs: what we sent was understood. */
const wantAnAgent = [
  'domain_get_guest_info',
  'domain_authorized_ssh_keys_get',
  'domain_authorized_ssh_keys_set',
  'domain_pm_suspend_for_duration',
  'qemu_domain_agent_command',
] as const satisfies readonly ProcedureName[]

const testedElsewhere = {
  domain_abort_job: 'here, by the error that there is no job: none is long enough',
  auth_sasl_init: 'libvirt-transports.test.ts',
  auth_sasl_start: 'libvirt-transports.test.ts',
  auth_sasl_step: 'libvirt-transports.test.ts',
  auth_polkit: 'node-libvirt/rpc/authenticate.test.ts, on a server of ours: no polkit runs here',
  domain_pm_wakeup: 'nowhere: only a guest that has suspended itself can be woken',
  domain_interface_addresses: 'integration/libvirt/client.test.ts',
  network_get_dhcp_leases: 'integration/libvirt/client.test.ts',
} as const satisfies Partial<Record<ProcedureName, string>>

const answered = new Set<ProcedureName>()
const seen = new Set<EventKind>()

/** Notes what the server has answered without an error. */
const record = (): void => {
  const prototype = RpcClient.prototype as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  for (const method of ['callWith', 'upload', 'downloadWith', 'interact']) {
    const original = prototype[method]
    if (original === undefined) throw new Error(`RpcClient has no ${method}`)
    prototype[method] = async function (this: RpcClient, ...args) {
      const result = await original.apply(this, args)
      answered.add(args[0] as ProcedureName)
      return result
    }
  }
}

const code = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: { readonly code?: number }) => error.code ?? error,
  )

let lab: Lab
let qemu: Connection
let mock: Connection

beforeAll(async () => {
  record()
  lab = await Lab.start('procedures')
  qemu = await lab.open()
  mock = await lab.open(lab.testDriverURI)
  for (const kind of Object.keys(eventKinds) as EventKind[]) await qemu.subscribe(kind, () => seen.add(kind))
})

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
})

const path = (name: string) => `${lab.hypervisor.poolPath}/${name}`

const makeDisk = async (name: string) => {
  const pool = await qemu.lookupStoragePoolByName(lab.hypervisor.poolName)
  const format = `<target><format type='qcow2'/></target>`
  return pool.createVolume(`<volume><name>${name}</name><capacity>4194304</capacity>${format}</volume>`)
}

/**
 * A boot sector that sends back what comes on the first serial line:
 * `start: mov dx,3fdh; wait: in al,dx; test al,1; jz wait; mov dx,3f8h; in al,dx; out dx,al; jmp start`.
 */
const makeEchoDisk = async () => {
  const sector = Buffer.alloc(512)
  Buffer.from('bafd03eca80174fbbaf803eceeebf1', 'hex').copy(sector)
  sector.writeUInt16LE(0xaa55, 510)
  const pool = await qemu.lookupStoragePoolByName(lab.hypervisor.poolName)
  const volume = await pool.createVolume('<volume><name>echo</name><capacity>1048576</capacity></volume>')
  const upload = await volume.upload()
  upload.end(sector)
  await finished(upload)
}

const disk = (name: string, target: string) => `
  <disk type='file'><driver name='qemu' type='qcow2'/><source file='${path(name)}'/><target dev='${target}' bus='virtio'/>
  </disk>`

describe('the host', () => {
  it('tells of itself', async () => {
    expect(await qemu.getURI()).toBe('qemu:///system')
    expect(await qemu.getType()).toBe('QEMU')
    expect(await qemu.getHostname()).toBe('procedures')
    expect(await qemu.getLibVersion()).toBeGreaterThanOrEqual(9_000_000)
    expect(await qemu.getCapabilities()).toContain('<capabilities>')
    expect(await qemu.getVersion()).toBeGreaterThan(7_000_000)
    expect(await qemu.getMaxVCPUs('qemu')).toBeGreaterThan(0)
    expect(await qemu.getCPUModelNames('x86_64')).toContain('qemu64')
    const model = '<cpu><arch>i686</arch><model>486</model></cpu>'
    expect(Object.values(CPUCompareResult)).toContain(await qemu.compareCPU(model))
    expect((await qemu.getCPUStats())['kernel']).toBeGreaterThan(0n)
    expect((await qemu.getMemoryStats())['total']).toBeGreaterThan(0n)
    const cells = await qemu.getCellsFreeMemory()
    expect(cells.length).toBe((await qemu.getNodeInfo()).nodes)
    expect(await qemu.getFreeMemory()).toBeGreaterThan(0)
    expect(await qemu.getDomainCapabilities({ virtType: 'qemu' })).toContain('<domainCapabilities>')
    expect(await mock.getSysinfo()).toContain('<sysinfo')
  })

  it('has devices', async () => {
    const devices = await qemu.listAllNodeDevices()
    const loopback = devices.find(({ name }) => name.startsWith('net_lo'))
    if (loopback === undefined) throw new Error('no loopback device')
    const device = await qemu.lookupNodeDeviceByName(loopback.name)
    expect(await device.getXML()).toContain('<interface>lo</interface>')
    expect(await device.getParent()).toBe('computer')
    expect(await device.listCapabilities()).toEqual(['net'])
    expect(await (await qemu.lookupNodeDeviceByName('computer')).getParent()).toBeUndefined()
  })

  it('keeps secrets', async () => {
    const usage = `<usage type='volume'><volume>/keys/a</volume></usage>`
    const secret = await qemu.defineSecret(`<secret ephemeral='yes' private='no'>${usage}</secret>`)
    const value = Buffer.from([0, 1, 254, 255])
    await secret.setValue(value)
    expect((await secret.getValue()).equals(value)).toBe(true)
    expect(await secret.getXML()).toContain('/keys/a')
    expect(await qemu.lookupSecretByUUID(secret.uuid)).toMatchObject({ usageID: '/keys/a' })
    expect(await qemu.lookupSecretByUsage(SecretUsageType.VOLUME, '/keys/a')).toMatchObject({ uuid: secret.uuid })
    expect(await qemu.listAllSecrets()).toHaveLength(1)
    await secret.undefine()
    expect(await code(secret.getXML())).toBe(ErrorCode.NO_SECRET)
    await eventually(() => seen.has('secretLifecycle') && seen.has('secretValueChanged'))
  })

  it('keeps packet filters', async () => {
    const filter = await qemu.defineNetworkFilter(`<filter name='f'><rule action='drop' direction='in'/></filter>`)
    expect(await qemu.lookupNetworkFilterByName('f')).toMatchObject({ uuid: filter.uuid })
    expect(await qemu.lookupNetworkFilterByUUID(filter.uuid)).toMatchObject({ name: 'f' })
    expect((await qemu.listAllNetworkFilters()).map(({ name }) => name)).toContain('f')
    expect(await filter.getXML()).toContain(`action='drop'`)
    await filter.undefine()
    expect(await code(filter.getXML())).toBe(ErrorCode.NO_NWFILTER)
  })

  it('changes a part of a network', async () => {
    const network = await qemu.defineNetwork(`<network><name>part</name><bridge name='vbpart' stp='off'/></network>`)
    expect(await network.isPersistent()).toBe(true)
    const host = `<host ip='192.0.2.1'><hostname>added.example</hostname></host>`
    const { ADD_LAST } = NetworkUpdateCommand
    await network.update(ADD_LAST, NetworkUpdateSection.DNS_HOST, host, -1, NetworkUpdateFlags.CONFIG)
    expect(await network.getXML()).toContain('added.example')
    await network.setAutostart(true)
    expect(await network.getAutostart()).toBe(true)
    await network.create()
    expect(await network.isActive()).toBe(true)
    expect(await network.getBridgeName()).toBe('vbpart')
    expect(await qemu.lookupNetworkByName('part')).toMatchObject({ uuid: network.uuid })
    expect(await qemu.lookupNetworkByUUID(network.uuid)).toMatchObject({ name: 'part' })
    await network.destroy()
    await network.undefine()
    expect((await qemu.listAllNetworks()).map(({ name }) => name)).not.toContain('part')
    const transient = await qemu.createNetwork(`<network><name>t</name><bridge name='vbt' stp='off'/></network>`)
    expect(await transient.isPersistent()).toBe(false)
    await transient.destroy()
  })

  it('has pools and volumes', async () => {
    const xml = `<pool type='dir'><name>other</name><target><path>${path('other')}</path></target></pool>`
    const defined = await qemu.defineStoragePool(xml)
    await defined.build()
    await defined.create()
    await defined.setAutostart(true)
    expect(await defined.getAutostart()).toBe(true)
    expect(await defined.isActive()).toBe(true)
    expect(await defined.getXML()).toContain('other')
    expect((await defined.getInfo()).capacity).toBeGreaterThan(0)
    await defined.refresh()
    expect(await qemu.lookupStoragePoolByUUID(defined.uuid)).toMatchObject({ name: 'other' })
    await defined.destroy()
    await defined.undefine()
    const pool = await qemu.createStoragePool(xml)
    expect(await pool.isPersistent()).toBe(false)
    expect(await qemu.lookupStoragePoolByTargetPath(path('other'))).toMatchObject({ name: 'other' })
    expect((await qemu.listAllStoragePools()).map(({ name }) => name)).toContain('other')

    const source = await pool.createVolume('<volume><name>a</name><capacity>8192</capacity></volume>')
    const upload = await source.upload()
    upload.end(Buffer.alloc(8192, 7))
    await finished(upload)
    const clone = await pool.cloneVolume('<volume><name>b</name><capacity>8192</capacity></volume>', source)
    expect(Buffer.concat(await (await clone.download()).toArray()).equals(Buffer.alloc(8192, 7))).toBe(true)
    await clone.wipe()
    expect(Buffer.concat(await (await clone.download()).toArray()).equals(Buffer.alloc(8192))).toBe(true)
    await clone.resize(16384)
    expect((await clone.getInfo()).capacity).toBe(16384)
    expect(await clone.getPath()).toBe(path('other/b'))
    expect(await clone.getXML()).toContain('<name>b</name>')
    expect((await clone.getPool()).uuid).toBe(pool.uuid)
    expect(await pool.lookupVolume('b')).toMatchObject({ key: clone.key })
    expect(await qemu.lookupStorageVolByKey(clone.key)).toMatchObject({ name: 'b' })
    expect(await qemu.lookupStorageVolByPath(path('other/b'))).toMatchObject({ name: 'b' })
    expect(await pool.listAllVolumes()).toHaveLength(2)
    await clone.delete()
    await source.delete()
    await pool.destroy()

    const again = await qemu.defineStoragePool(xml)
    await again.delete()
    await again.undefine()
    await eventually(() => seen.has('storagePoolLifecycle') && seen.has('storagePoolRefresh'))
  })
})

describe('a running domain', () => {
  let domain: Domain

  beforeAll(async () => {
    await Promise.all(['vda', 'vdb'].map(makeDisk))
    await makeEchoDisk()
    domain = await qemu.defineDomain(`
      <domain type='qemu'>
        <name>wide</name>
        <memory unit='MiB'>64</memory><currentMemory unit='MiB'>48</currentMemory><vcpu current='1'>2</vcpu>
        <os><type arch='x86_64' machine='pc'>hvm</type></os>
        <features><acpi/></features>
        <devices>
          ${disk('vda', 'vda')}
          <disk type='file'>
            <driver name='qemu' type='raw'/><source file='${path('echo')}'/><target dev='vdz' bus='virtio'/><readonly/>
            <boot order='1'/>
          </disk>
          <interface type='network'>
            <mac address='52:54:00:00:00:01'/><source network='${lab.hypervisor.networkName}'/><model type='virtio'/>
          </interface>
          <serial type='pty'/><console type='pty'/>
          <channel type='unix'><target type='virtio' name='org.example.0'/></channel>
          <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
          <video><model type='vga'/></video>
        </devices>
      </domain>`)
    await domain.create()
  })

  it('is found, and tells of itself', async () => {
    const found = await qemu.lookupDomainByName('wide')
    expect(found.id).toBeGreaterThan(0)
    expect(await qemu.lookupDomainByID(found.id)).toMatchObject({ uuid: domain.uuid })
    expect(await qemu.lookupDomainByUUID(domain.uuid)).toMatchObject({ name: 'wide' })
    expect(await qemu.listAllDomains()).toHaveLength(1)
    expect(await domain.isActive()).toBe(true)
    expect(await domain.isPersistent()).toBe(true)
    expect(await domain.isUpdated()).toBe(false)
    expect((await domain.getInfo()).state).toBe(DomainState.RUNNING)
    expect((await domain.getState()).state).toBe(DomainState.RUNNING)
    expect(await domain.getXML()).toContain('org.example.0')
    expect(await domain.getMaxMemory()).toBe(64 * 1024)
    expect(Array.isArray(await domain.getMessages())).toBe(true)
    expect(JSON.parse(await domain.qemuMonitorCommand('{"execute":"query-status"}'))).toMatchObject({
      return: { running: true },
    })
    await domain.setAutostart(true)
    expect(await domain.getAutostart()).toBe(true)
    await domain.setMetadata(DomainMetadataType.TITLE, 'a title')
    expect(await domain.getMetadata(DomainMetadataType.TITLE)).toBe('a title')
    await eventually(() => seen.has('domainMetadataChange'))
  })

  it('has a console that goes both ways', async () => {
    const console = await domain.openConsole()
    let text = ''
    console.on('data', (chunk) => {
      text += chunk
    })
    // Until it has booted, what is typed is lost.
    await eventually(() => {
      console.write('typed')
      return text.includes('typed')
    })
    console.end()
    await finished(console)
    await domain.reset()
    const channel = await domain.openChannel('org.example.0')
    channel.destroy()
    await once(channel, 'close')
    await eventually(async () => (await domain.getXML()).includes(`name='org.example.0' state='disconnected'`))
  })

  it('shows its screen, and has keys pressed', async () => {
    const { mimeType, stream } = await domain.screenshot()
    const picture = Buffer.concat(await stream.toArray())
    expect(mimeType).toMatch(/^image\//)
    expect(picture.length).toBeGreaterThan(100)
    await domain.sendKey(KeycodeSet.LINUX, 10, [28])
    await domain.injectNMI()
  })

  it('gets and loses devices', async () => {
    await domain.attachDevice(disk('vdb', 'vdb'), DeviceModifyFlags.LIVE)
    await eventually(() => seen.has('domainDeviceAdded'))
    const spare = disk('vdb', 'vdc').replace('</disk>', `<alias name='ua-spare'/></disk>`)
    const { CONFIG } = DeviceModifyFlags
    await domain.attachDevice(spare, CONFIG)
    await domain.detachDeviceByAlias('ua-spare', CONFIG)
    await domain.attachDevice(spare, CONFIG)
    await domain.detachDevice(spare, CONFIG)
    expect(await domain.getXML(DomainXMLFlags.INACTIVE)).not.toContain('ua-spare')
    const nic = /<interface[\s\S]*?<\/interface>/.exec(await domain.getXML())?.[0] ?? ''
    await domain.updateDevice(nic.replace('</interface>', `<link state='down'/></interface>`), DeviceModifyFlags.LIVE)
    expect(await domain.getXML()).toContain(`<link state='down'/>`)
  })

  it('has its memory and CPUs changed', async () => {
    await domain.setMemory(40 * 1024, DomainMemoryFlags.CONFIG)
    await domain.setMemoryStatsPeriod(1, DomainModificationImpact.LIVE)
    expect((await domain.getMemoryStats()).get(MemoryStat.RSS)).toBeGreaterThan(0n)
    await domain.setVCPUs(2, DomainVCPUFlags.CONFIG)
    expect(await domain.getVCPUCount(DomainVCPUFlags.CONFIG)).toBe(2)
    await domain.pinVCPU(0, [0], DomainModificationImpact.CONFIG)
    expect(await domain.getXML()).not.toContain('cpuset')
    const [vcpu] = await domain.getVCPUs()
    expect(vcpu).toMatchObject({ number: 0, state: VCPUState.RUNNING })
  })

  it('has its speed limited', async () => {
    await domain.setBlockIOTune('vda', { total_bytes_sec: 1_000_000n }, DomainModificationImpact.LIVE)
    expect((await domain.getBlockIOTune('vda'))['total_bytes_sec']).toBe(1_000_000n)
    await domain.setBlockIOTune('vda', { total_bytes_sec: 0n }, DomainModificationImpact.LIVE)
    const mac = '52:54:00:00:00:01'
    await domain.setInterfaceParameters(mac, { 'inbound.average': 1000 }, DomainModificationImpact.CONFIG)
    const parameters = await domain.getInterfaceParameters(mac, DomainModificationImpact.CONFIG)
    expect(parameters['inbound.average']).toBe(1000)
  })

  it('is measured', async () => {
    const nic = /<target dev='(vnet\d+)'/.exec(await domain.getXML())?.[1] ?? ''
    expect((await domain.getInterfaceStats(nic)).receiveErrors).toBe(0)
    expect((await domain.getBlockStats('vda'))['rd_bytes']).toBeGreaterThanOrEqual(0)
    expect(await domain.getBlockInfo('vda')).toMatchObject({ capacity: 4194304 })
    expect(await domain.getDiskErrors()).toEqual([])
    const [all] = await qemu.getAllDomainStats(DomainStatsTypes.STATE | DomainStatsTypes.BLOCK, 0, [domain])
    expect(all?.domain.uuid).toBe(domain.uuid)
    expect(all?.stats).toMatchObject({ 'state.state': DomainState.RUNNING, 'block.0.name': 'vda' })
    expect((await domain.getControlInfo()).state).toBe(DomainControlState.OK)
    expect((await domain.getJobInfo()).type).toBe(DomainJobType.NONE)
    expect((await domain.getJobStats()).type).toBe(DomainJobType.NONE)
  })

  it('has its disks changed under it', async () => {
    await domain.blockResize('vda', 8388608)
    expect(await domain.getBlockInfo('vda')).toMatchObject({ capacity: 8388608 })
    const noDisk = `<disk name='vdb' snapshot='no'/>`
    const external = (name: string) =>
      `<domainsnapshot><name>${name}</name><disks><disk name='vda' snapshot='external'><source file='${path(name)}'/>
       </disk>${noDisk}</disks></domainsnapshot>`
    await domain.createSnapshot(external('over'), SnapshotCreateFlags.DISK_ONLY | SnapshotCreateFlags.NO_METADATA)
    expect(await domain.getBlockJobInfo('vda')).toBeUndefined()
    await domain.blockCommit('vda', {}, BlockCommitFlags.SHALLOW | BlockCommitFlags.ACTIVE)
    await eventually(async () => {
      const job = await domain.getBlockJobInfo('vda')
      return job !== undefined && job.current === job.end && seen.has('domainBlockJob')
    })
    await domain.blockJobAbort('vda', BlockJobAbortFlags.PIVOT)
    expect(await domain.getXML()).not.toContain(path('over'))
    await domain.createSnapshot(external('pull'), SnapshotCreateFlags.DISK_ONLY | SnapshotCreateFlags.NO_METADATA)
    await domain.blockPull('vda')
    await eventually(async () => (await domain.getBlockJobInfo('vda')) === undefined)
    const copy = `<disk type='file'><driver type='qcow2'/><source file='${path('copy')}'/></disk>`
    await domain.blockCopy('vda', copy, { bandwidth: 0n, granularity: 65536 }, BlockCopyFlags.TRANSIENT_JOB)
    await domain.blockJobAbort('vda')
  })

  it('gives its agent a time limit, and says that none answers', async () => {
    await domain.setAgentResponseTimeout(1)
    const calls = [
      domain.getGuestInfo(),
      domain.getAuthorizedSSHKeys('root'),
      domain.setAuthorizedSSHKeys('root', ['key']),
      domain.pmSuspend(NodeSuspendTarget.MEM),
      domain.agentCommand('{"execute":"guest-ping"}', AgentResponseTimeout.NOWAIT),
    ]
    expect(calls).toHaveLength(wantAnAgent.length)
    expect(await Promise.all(calls.map(code))).toEqual(calls.map(() => ErrorCode.AGENT_UNRESPONSIVE))
  })

  it('pauses, saves and restores itself', async () => {
    await domain.suspend()
    await domain.resume()
    await domain.reboot()
    await domain.shutdown()
    await domain.coreDump(path('core'))
    expect(await code(domain.abortJob())).toBe(ErrorCode.OPERATION_INVALID)
    await domain.save(path('saved'))
    expect(await qemu.getSaveImageXML(path('saved'))).toContain('<name>wide</name>')
    await qemu.defineSaveImageXML(path('saved'), await qemu.getSaveImageXML(path('saved')))
    await qemu.restoreDomain(path('saved'))
    expect((await domain.getState()).state).toBe(DomainState.RUNNING)
    await domain.managedSave()
    expect(await domain.hasManagedSave()).toBe(true)
    await domain.defineManagedSaveXML(await domain.getManagedSaveXML())
    await domain.removeManagedSave()
    expect(await domain.hasManagedSave()).toBe(false)
    await eventually(() => seen.has('domainJobCompleted') && seen.has('domainLifecycle'))
  })

  it('has snapshots', async () => {
    const first = await domain.createSnapshot('<domainsnapshot><name>first</name></domainsnapshot>')
    const second = await domain.createSnapshot('<domainsnapshot><name>second</name></domainsnapshot>')
    expect(first.domainUUID).toBe(domain.uuid)
    expect((await domain.listAllSnapshots()).map(({ name }) => name).sort()).toEqual(['first', 'second'])
    expect((await first.listAllChildren()).map(({ name }) => name)).toEqual(['second'])
    expect((await second.getParent()).name).toBe('first')
    expect(await code(first.getParent())).toBe(ErrorCode.NO_DOMAIN_SNAPSHOT)
    expect(await domain.hasCurrentSnapshot()).toBe(true)
    expect((await domain.getCurrentSnapshot()).name).toBe('second')
    await first.revert()
    expect(await first.isCurrent()).toBe(true)
    expect(await second.isCurrent()).toBe(false)
    expect(await second.hasMetadata()).toBe(true)
    expect(await (await domain.lookupSnapshot('second')).getXML()).toContain('<name>second</name>')
    await second.delete()
    await first.delete()
    expect(await domain.listAllSnapshots()).toEqual([])
  })

  it('is renamed and removed, and a transient one vanishes', async () => {
    await domain.rename('narrow')
    expect(await qemu.lookupDomainByUUID(domain.uuid)).toMatchObject({ name: 'narrow' })
    await domain.undefine(DomainUndefineFlags.NVRAM)
    expect(await code(domain.getState())).toBe(ErrorCode.NO_DOMAIN)
    const transient = await qemu.createDomain(
      `<domain type='qemu'><name>t</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>`,
    )
    expect(await transient.isPersistent()).toBe(false)
    await transient.destroy()
    expect(await code(transient.getState())).toBe(ErrorCode.NO_DOMAIN)
  })
})

it('a guest with an agent', async () => {
  const [guest] = await mock.listAllDomains()
  if (guest === undefined) throw new Error('the test driver has no domain')
  expect(await guest.getHostname(0)).toBe('testhost')
  expect(await guest.getFileSystems()).toContainEqual({ mountPoint: '/', name: 'vda1', type: 'ext4', disks: ['vda'] })
  expect(await guest.freezeFileSystems()).toBe(2)
  expect(await guest.thawFileSystems()).toBe(2)
  await guest.trimFileSystems('/', 4096)
  await guest.setTime({ seconds: 1_000_000_000, nanoseconds: 5 })
  expect(await guest.getTime()).toEqual({ seconds: 1_000_000_000, nanoseconds: 5 })
  await guest.setUserPassword('root', 'secret')
})

it('every kind of event can be subscribed to twice, ended, and subscribed to again', async () => {
  const connection = await lab.open()
  for (const kind of Object.keys(eventKinds) as EventKind[]) {
    const subscriptions = [await connection.subscribe(kind, () => {}), await connection.subscribe(kind, () => {})]
    await Promise.all(subscriptions.map((subscription) => subscription.close()))
    await (await connection.subscribe(kind, () => {})).close()
  }
})

it('every procedure of the table was answered, or it is said why not', async () => {
  await (await lab.open()).close()
  const excused = new Set<string>([...wantAnAgent, ...Object.keys(testedElsewhere)])
  const all = Object.keys(procedures) as ProcedureName[]
  const missing = all.filter((name) => !answered.has(name) && !excused.has(name))
  const unnecessary = [...excused].filter((name) => answered.has(name as ProcedureName))
  const silent = (Object.keys(eventKinds) as EventKind[]).filter((kind) => !seen.has(kind))
  process.stdout.write(
    [
      `${answered.size} of ${all.length} procedures answered by libvirtd`,
      `by an error, for want of an agent: ${wantAnAgent.join(', ')}`,
      ...Object.entries(testedElsewhere).map(([name, where]) => `${name}: ${where}`),
      `events that did not come: ${silent.join(', ')}`,
      '',
    ].join('\n'),
  )
  expect({ missing, unnecessary }).toEqual({ missing: [], unnecessary: [] })
})
