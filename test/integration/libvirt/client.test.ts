import { randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  type Connection,
  type Domain,
  DomainEventType,
  DomainMetadataType,
  DomainModificationImpact,
  DomainState,
  DomainUndefineFlags,
  DomainXMLFlags,
  ErrorCode,
  InterfaceAddressesSource,
  IPAddressType,
  LibvirtConnectionError,
  ListDomainsFlags,
  StoragePoolState,
  StorageVolumeType,
} from '../../../node-libvirt/index.ts'
import { column, eventually, fields, Lab } from './support/connections.ts'

// Our client beside libvirt's own, virsh, on a real libvirtd.

let lab: Lab
let qemu: Connection

beforeAll(async () => {
  lab = await Lab.start('client')
  qemu = await lab.open()
})

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
})

const domainXML = (name: string, uuid: string = randomUUID()) => `
  <domain type='qemu'>
    <name>${name}</name><uuid>${uuid}</uuid>
    <memory unit='MiB'>32</memory><vcpu>1</vcpu>
    <os><type arch='x86_64'>hvm</type></os>
    <devices>
      <interface type='network'><source network='${lab.hypervisor.networkName}'/><model type='virtio'/></interface>
    </devices>
  </domain>`

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  )

describe.each([
  ['QEMU', () => lab.hypervisor.uri],
  ['the test driver', () => lab.testDriverURI],
])('%s: the same answers as virsh', (_driver, uri) => {
  let connection: Connection

  beforeAll(async () => {
    connection = await lab.open(uri())
    await connection.defineDomain(
      uri() === lab.testDriverURI
        ? domainXML('same')
            .replaceAll('qemu', 'test')
            .replace(/<interface.*/, '')
        : domainXML('same'),
    )
  })

  it('about the server', async () => {
    expect(await connection.getHostname()).toBe(await lab.virsh(uri(), 'hostname'))
    expect((await connection.getCapabilities()).trim()).toBe(await lab.virsh(uri(), 'capabilities'))
    const version = await lab.virsh(uri(), 'version', '--daemon')
    const library = await connection.getLibVersion()
    expect(version).toContain(
      `Running against daemon: ${Math.floor(library / 1e6)}.${Math.floor(library / 1e3) % 1e3}.`,
    )
    expect(version).toContain(`Using API: ${await connection.getType()} `)
    const info = fields(await lab.virsh(uri(), 'nodeinfo'))
    const node = await connection.getNodeInfo()
    expect(info).toMatchObject({
      'CPU model': node.model,
      'CPU(s)': String(node.cpus),
      'CPU socket(s)': String(node.sockets),
      'Core(s) per socket': String(node.cores),
      'Thread(s) per core': String(node.threads),
      'NUMA cell(s)': String(node.nodes),
      'Memory size': `${node.memory} KiB`,
    })
  })

  it('about domains', async () => {
    const domains = await connection.listAllDomains()
    expect(domains.map(({ name }) => name).sort()).toEqual(column(await lab.virsh(uri(), 'list', '--all'), 1))
    const off = await connection.listAllDomains(ListDomainsFlags.INACTIVE)
    expect(off.map(({ name }) => name).sort()).toEqual(column(await lab.virsh(uri(), 'list', '--inactive'), 1))
    expect(off.length).toBeGreaterThan(0)
    for (const domain of domains) {
      const dominfo = fields(await lab.virsh(uri(), 'dominfo', domain.uuid))
      const info = await domain.getInfo()
      expect(dominfo).toMatchObject({
        Name: domain.name,
        UUID: domain.uuid,
        'CPU(s)': String(info.cpus),
        'Max memory': `${info.maxMemory} KiB`,
        Persistent: (await domain.isPersistent()) ? 'yes' : 'no',
        Autostart: (await domain.getAutostart()) ? 'enable' : 'disable',
        State: (await domain.isActive()) ? 'running' : 'shut off',
      })
      expect((await domain.getXML()).trim()).toBe(await lab.virsh(uri(), 'dumpxml', domain.uuid))
      const secure = await domain.getXML(DomainXMLFlags.SECURE | DomainXMLFlags.INACTIVE)
      expect(secure.trim()).toBe(await lab.virsh(uri(), 'dumpxml', '--security-info', '--inactive', domain.uuid))
      expect(await connection.lookupDomainByUUID(domain.uuid)).toMatchObject({ name: domain.name, id: domain.id })
      expect(await connection.lookupDomainByName(domain.name)).toMatchObject({ uuid: domain.uuid })
    }
  })

  it('about pools and volumes', async () => {
    const pools = await connection.listAllStoragePools()
    expect(pools.map(({ name }) => name).sort()).toEqual(column(await lab.virsh(uri(), 'pool-list', '--all')))
    expect(pools.length).toBeGreaterThan(0)
    for (const pool of pools) {
      const info = await pool.getInfo()
      const poolInfo = fields(await lab.virsh(uri(), 'pool-info', '--bytes', pool.name))
      expect(poolInfo).toMatchObject({ UUID: pool.uuid, Capacity: String(info.capacity), State: 'running' })
      expect(info.state).toBe(StoragePoolState.RUNNING)
      expect((await pool.getXML()).trim()).toBe(await lab.virsh(uri(), 'pool-dumpxml', pool.name))
      const volumes = await pool.listAllVolumes()
      expect(volumes.map(({ name }) => name).sort()).toEqual(column(await lab.virsh(uri(), 'vol-list', pool.name)))
      expect(await connection.lookupStoragePoolByUUID(pool.uuid)).toMatchObject({ name: pool.name })
    }
  })

  it('about networks', async () => {
    const networks = await connection.listAllNetworks()
    expect(networks.map(({ name }) => name).sort()).toEqual(column(await lab.virsh(uri(), 'net-list', '--all')))
    expect(networks.length).toBeGreaterThan(0)
    for (const network of networks) {
      const info = fields(await lab.virsh(uri(), 'net-info', network.name))
      expect(info).toMatchObject({
        UUID: network.uuid,
        Active: (await network.isActive()) ? 'yes' : 'no',
        Autostart: (await network.getAutostart()) ? 'yes' : 'no',
        Bridge: await network.getBridgeName(),
      })
      expect((await network.getXML()).trim()).toBe(await lab.virsh(uri(), 'net-dumpxml', network.name))
      expect(await connection.lookupNetworkByUUID(network.uuid)).toMatchObject({ name: network.name })
    }
  })
})

it('the test driver: addresses of a running domain', async () => {
  const connection = await lab.open(lab.testDriverURI)
  const xml = domainXML('addressed').replaceAll('qemu', 'test').replace(lab.hypervisor.networkName, 'default')
  const domain = await connection.defineDomain(xml)
  await domain.create()
  const interfaces = await domain.interfaceAddresses(InterfaceAddressesSource.LEASE)
  expect(interfaces).toHaveLength(1)
  expect(interfaces[0]).toMatchObject({ addresses: [{ type: IPAddressType.IPV4, prefix: 24 }] })
  expect(interfaces[0]?.hardwareAddress).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)
  await domain.destroy()
  await domain.undefine()
})

it('QEMU: leases of a network, all and of one address, as virsh has them', async () => {
  // What libvirt's helper writes for dnsmasq when a guest asks for an address.
  const expiryTime = Math.floor(Date.now() / 1000) + 3600
  const lease = (host: number) => ({
    'ip-address': lab.hypervisor.subnet.replace(/\d+\/\d+$/, String(host)),
    'mac-address': `52:54:00:00:00:${host}`,
    'expiry-time': expiryTime,
    ...(host === 50 ? { hostname: 'guest', 'client-id': 'ff:00' } : {}),
  })
  const network = await qemu.lookupNetworkByName(lab.hypervisor.networkName)
  const file = `/var/lib/libvirt/dnsmasq/${await network.getBridgeName()}.status`
  await lab.hypervisor.run('tee', [file], { input: JSON.stringify([lease(50), lease(51)]) })
  const leases = await network.getDHCPLeases()
  expect(leases).toMatchObject([
    { expiryTime, type: IPAddressType.IPV4, macAddress: '52:54:00:00:00:50', hostName: 'guest', clientID: 'ff:00' },
    { expiryTime, macAddress: '52:54:00:00:00:51', hostName: undefined, clientID: undefined },
  ])
  const rows = await lab.virsh(lab.hypervisor.uri, 'net-dhcp-leases', network.name)
  expect(leases.map(({ address, prefix }) => `${address}/${prefix}`).sort()).toEqual(column(rows, 3))
  expect(await network.getDHCPLeases('52:54:00:00:00:51')).toMatchObject([{ macAddress: '52:54:00:00:00:51' }])
  await lab.hypervisor.run('rm', [file])
})

it('QEMU: capabilities of domains as virsh has them', async () => {
  const ours = await qemu.getDomainCapabilities({ arch: 'x86_64', machine: 'pc', virtType: 'qemu' })
  const args = ['domcapabilities', '--arch', 'x86_64', '--machine', 'pc', '--virttype', 'qemu']
  expect(ours.trim()).toBe(await lab.virsh(lab.hypervisor.uri, ...args))
})

describe('domains', () => {
  let domain: Domain

  beforeAll(async () => {
    domain = await qemu.defineDomain(domainXML('life'))
  })

  it('keeps metadata', async () => {
    const namespace = { key: 'x', uri: 'https://example.com/x' }
    const { ELEMENT, TITLE } = DomainMetadataType
    const { CONFIG } = DomainModificationImpact
    const none = await rejection(domain.getMetadata(ELEMENT, namespace.uri, CONFIG))
    expect(none).toMatchObject({ code: ErrorCode.NO_DOMAIN_METADATA })
    await domain.setMetadata(ELEMENT, '<tag a="ü"/>', namespace, CONFIG)
    await domain.setMetadata(TITLE, 'a title', undefined, CONFIG)
    expect(await domain.getMetadata(ELEMENT, namespace.uri, CONFIG)).toMatch(/<tag a="(ü|&#xFC;)"\/>/)
    expect(await domain.getMetadata(TITLE)).toBe('a title')
    await domain.setMetadata(ELEMENT, undefined, namespace, CONFIG)
    expect(await rejection(domain.getMetadata(ELEMENT, namespace.uri))).toMatchObject({ name: 'LibvirtError' })
  })

  it('is started with the host, or not', async () => {
    await domain.setAutostart(true)
    expect(await domain.getAutostart()).toBe(true)
    await domain.setAutostart(false)
    expect(await domain.getAutostart()).toBe(false)
  })

  it('starts, pauses, goes on, saves itself, and stops, with events of all of it', async () => {
    const seen: number[] = []
    const subscription = await qemu.subscribe('domainLifecycle', (event) => {
      if (event.domain.uuid === domain.uuid) seen.push(event.event)
    })
    await domain.create()
    expect(await rejection(domain.create())).toMatchObject({ code: ErrorCode.OPERATION_INVALID })
    expect((await domain.getState()).state).toBe(DomainState.RUNNING)
    expect((await qemu.lookupDomainByUUID(domain.uuid)).id).toBeGreaterThan(0)
    await domain.suspend()
    expect((await domain.getState()).state).toBe(DomainState.PAUSED)
    await domain.resume()
    await domain.reboot()
    await domain.shutdown()
    expect(await domain.interfaceAddresses(InterfaceAddressesSource.LEASE)).toEqual([])
    expect((await domain.getInfo()).cpuTime).toBeGreaterThan(0n)
    await domain.managedSave()
    expect(await domain.hasManagedSave()).toBe(true)
    await domain.create()
    expect(await domain.hasManagedSave()).toBe(false)
    await domain.destroy()
    expect((await domain.getState()).state).toBe(DomainState.SHUTOFF)
    await domain.undefine(DomainUndefineFlags.MANAGED_SAVE | DomainUndefineFlags.NVRAM)
    expect(await rejection(domain.getState())).toMatchObject({ code: ErrorCode.NO_DOMAIN })
    const { STARTED, SUSPENDED, RESUMED, STOPPED, UNDEFINED } = DomainEventType
    await eventually(() => seen.includes(UNDEFINED))
    const wanted = [STARTED, SUSPENDED, RESUMED, STOPPED, UNDEFINED]
    expect(wanted.filter((type) => !seen.includes(type))).toEqual([])
    await subscription.close()
    expect(seen.at(-1)).toBe(UNDEFINED)
  })
})

describe('storage', () => {
  it('defines, builds, starts, refreshes and removes a pool, with events', async () => {
    const seen: string[] = []
    const lifecycle = await qemu.subscribe('storagePoolLifecycle', ({ pool, event }) =>
      seen.push(`${pool.name} ${event}`),
    )
    const refresh = await qemu.subscribe('storagePoolRefresh', ({ pool }) => seen.push(`${pool.name} refresh`))
    const path = `${lab.hypervisor.poolPath}-made`
    const pool = await qemu.defineStoragePool(
      `<pool type='dir'><name>made</name><target><path>${path}</path></target></pool>`,
    )
    expect(await pool.isActive()).toBe(false)
    await pool.build()
    await pool.create()
    await pool.setAutostart(true)
    expect(await pool.getAutostart()).toBe(true)
    expect(await pool.isActive()).toBe(true)
    await pool.refresh()
    await pool.destroy()
    await pool.undefine()
    expect(await rejection(qemu.lookupStoragePoolByName('made'))).toMatchObject({ code: ErrorCode.NO_STORAGE_POOL })
    await eventually(() => seen.includes('made 1'))
    expect(seen).toEqual(expect.arrayContaining(['made 0', 'made 2', 'made refresh', 'made 3', 'made 1']))
    await Promise.all([lifecycle.close(), refresh.close()])
  })

  it('makes, finds, grows and removes a volume', async () => {
    const pool = await qemu.lookupStoragePoolByName(lab.hypervisor.poolName)
    const xml = `<volume><name>disk</name><capacity>1048576</capacity><target><format type='qcow2'/></target></volume>`
    const volume = await pool.createVolume(xml)
    expect(await rejection(pool.createVolume(xml))).toMatchObject({ code: ErrorCode.STORAGE_VOL_EXIST })
    expect(await volume.getInfo()).toMatchObject({ type: StorageVolumeType.FILE, capacity: 1048576 })
    const path = await volume.getPath()
    expect(path).toBe(await lab.virsh(lab.hypervisor.uri, 'vol-path', '--pool', pool.name, 'disk'))
    expect(await qemu.lookupStorageVolByPath(path)).toMatchObject({ pool: pool.name, name: 'disk', key: volume.key })
    await volume.resize(2097152)
    expect(await volume.getInfo()).toMatchObject({ capacity: 2097152 })
    expect((await volume.getXML()).trim()).toBe(await lab.virsh(lab.hypervisor.uri, 'vol-dumpxml', path))
    await volume.delete()
    expect(await rejection(pool.lookupVolume('disk'))).toMatchObject({ code: ErrorCode.NO_STORAGE_VOL })
  })
})

it('defines, starts, stops and removes a network, with events', async () => {
  const seen: number[] = []
  const subscription = await qemu.subscribe('networkLifecycle', ({ network, event }) => {
    if (network.name === 'made') seen.push(event)
  })
  const network = await qemu.defineNetwork(`<network><name>made</name><bridge name='vbmade' stp='off'/></network>`)
  expect(await network.isActive()).toBe(false)
  await network.create()
  expect(await network.getBridgeName()).toBe('vbmade')
  expect(await network.getDHCPLeases()).toEqual([])
  await network.setAutostart(true)
  expect(await network.getAutostart()).toBe(true)
  await network.destroy()
  await network.undefine()
  expect(await rejection(qemu.lookupNetworkByName('made'))).toMatchObject({ code: ErrorCode.NO_NETWORK })
  const transient = await qemu.createNetwork(
    `<network><name>transient</name><bridge name='vbtrans' stp='off'/></network>`,
  )
  expect(await transient.isActive()).toBe(true)
  await transient.destroy()
  await eventually(() => seen.length >= 4)
  expect(seen).toEqual([0, 2, 3, 1])
  await subscription.close()
})

it('downloads a small volume again and again: libvirtd may send it ahead of the answer that announces it', async () => {
  const data = randomBytes(3_000)
  const pool = await qemu.lookupStoragePoolByName(lab.hypervisor.poolName)
  const volume = await pool.createVolume(
    `<volume><name>small</name><capacity unit='bytes'>${data.length}</capacity></volume>`,
  )
  await pipeline(Readable.from([data]), await volume.upload())
  for (let time = 0; time < 600; time++) {
    const back = Buffer.concat(await (await volume.download({ idleTimeout: 3_000 })).toArray())
    expect(back.equals(data)).toBe(true)
  }
}, 60_000)

it('keepalive holds a quiet connection to a real server', async () => {
  const connection = await lab.open(undefined, { keepalive: { interval: 50, count: 2 } })
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(connection.isAlive).toBe(true)
})

it('notices at once that the daemon was killed', async () => {
  const connection = await lab.open()
  const volumes = await (await connection.lookupStoragePoolByName(lab.hypervisor.poolName)).createVolume(
    `<volume><name>lost</name><capacity>1048576</capacity></volume>`,
  )
  const stream = await volumes.upload()
  const ended = rejection(finished(stream))
  stream.write(Buffer.alloc(1000))
  await lab.hypervisor.killDaemon()
  expect(await connection.closed).toMatchObject({ phase: 'established', reason: 'Lost' })
  expect(await ended).toBeInstanceOf(LibvirtConnectionError)
  const refused = await rejection(lab.open(undefined, { callTimeout: 2_000 }))
  expect(refused).toMatchObject({ phase: 'open', reason: 'Refused' })
  await lab.hypervisor.restartDaemon()
  expect(await (await lab.open()).getHostname()).toBe(lab.hypervisor.name)
})
