/** The driver contract on the fake, bare and within the wrappers that the controller puts around every session. */
import { randomUUID } from 'node:crypto'
import { type DriverWorld, damagedMarker, describeDriverContract } from '../../hypervisor/contract.ts'
import { type Driver, type Session, volumeNames } from '../../hypervisor/port.ts'
import { guarded, limited, observed } from '../../hypervisor/wrap.ts'
import { type Clock, FakeHypervisor, fakeDriver } from './index.ts'
import { bytesOf, type FakePool } from './storage.ts'

const MiB = 2 ** 20
const uri = 'fake://host'

const realTime: Clock = {
  monotonic: () => performance.now(),
  after(delay, callback) {
    const timer = setTimeout(callback, delay)
    return () => clearTimeout(timer)
  },
}

describeDriverContract('fake', async () => world((session) => session))

describeDriverContract('fake, wrapped', async () =>
  world((session) => observed(limited(guarded(session, { check: () => undefined }), 4), () => undefined)),
)

function world(wrap: (session: Session) => Session): DriverWorld {
  const host = new FakeHypervisor({
    clock: realTime,
    pools: { default: 1024 * MiB, small: 12 * MiB },
    networks: ['default', 'other'],
    guests: {},
  })
  const bare = fakeDriver(new Map([[uri, host]]))
  const driver: Driver = {
    name: bare.name,
    connect: async (target, options) => wrap(await bare.connect(target, options)),
  }
  const poolOf = (name: string): FakePool => host.storage.active(name)
  return {
    driver,
    target: { uri, callTimeout: 30_000 },
    nowhere: { uri: 'fake://nowhere', callTimeout: 5_000 },
    machine: { architecture: 'x86_64', accelerator: 'QEMU', memory: 32 * MiB },
    pool: 'default',
    poolType: 'Directory',
    smallPool: 'small',
    newDirectory: '/new',
    attachment: { libvirtNetwork: 'default' },
    otherAttachment: { libvirtNetwork: 'other' },
    missingAttachment: { libvirtNetwork: 'contract-no-such-network' },
    qcow2: { content: qcow2Header(64 * MiB), virtualSize: 64 * MiB },
    makeForeign: async (hostName, id) => host.addForeign(hostName, { id }),
    describeMachine: async (id) => {
      const { definition, live, power, stopReason } = host.machine(id)
      return JSON.stringify({ definition, live, power, stopReason })
    },
    startByHand: async (id) => host.startByHand(id),
    removeForeign: async (id) => host.removeMachine(id),
    attachForeignInterface: async (id, macAddress) =>
      host.attachForeignInterface(id, { macAddress, attachment: { libvirtNetwork: 'default' } }),
    makeTransient: async (id) => host.makeTransient(id),
    lastStart: async (id) => host.machine(id).lastStart,
    savedMemories: async () => host.machines.list().flatMap(({ id, power }) => (power === 'Suspended' ? id : [])),
    snapshotDisks: async (id) => host.snapshotDisks(id),
    diskSources: (description) => Object.values(JSON.parse(description).definition.moved),
    attachedVolumes: async (id) => host.machine(id).live?.disks.map(({ volume }) => volume) ?? [],
    async attachForeignDisk(id) {
      poolOf('default').setBytes(`foreign-${id}`, Buffer.alloc(0))
      host.attachForeignDisk(id, 'default', `foreign-${id}`)
    },
    async holdOnToDisks(hold) {
      host.machines.guests = hold ? {} : { detachTime: 20 }
    },
    async guestDiskSize(id, target) {
      const disk = host.machine(id).live?.disks.find((one) => one.target === target)
      return (disk && poolOf(disk.pool).volumes.get(disk.volume)?.capacity) ?? 0
    },
    async readVolume(pool, volume) {
      const found = poolOf(pool).volumes.get(volume)
      if (found === undefined) throw new Error(`no volume ${volume}`)
      return bytesOf(found)
    },
    async damageMarker(pool, digest, damage) {
      const name = volumeNames.imageMarker(digest)
      const marker = poolOf(pool).volumes.get(name)
      if (marker === undefined) throw new Error('no marker')
      poolOf(pool).setBytes(name, damagedMarker(bytesOf(marker), digest, damage))
    },
    async truncateImage(pool, digest) {
      const name = volumeNames.image(digest)
      const image = poolOf(pool).volumes.get(name)
      if (image === undefined) throw new Error('no image')
      poolOf(pool).setBytes(name, bytesOf(image).subarray(0, image.allocation / 2))
    },
    makeVolume: async (pool, volume) => poolOf(pool).setBytes(volume, Buffer.alloc(MiB)),
    restart: async () => host.restartDaemon(),
    async freeze() {
      host.hang()
      return async () => host.resume()
    },
    tearDown: async () => undefined,
  }
}

/** Of a file without content: the fake reads no more of it than its header. */
function qcow2Header(virtualSize: number): Buffer {
  const header = Buffer.alloc(512)
  header.write('QFI\u00fb', 'latin1')
  header.writeUInt32BE(3, 4)
  header.writeBigUInt64BE(BigInt(virtualSize), 24)
  // Makes each one's digest its own.
  header.write(randomUUID(), 256)
  return header
}
