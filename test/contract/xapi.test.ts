/** The driver contract over simulated XAPI pools. The driver was never run against a real XenServer or XCP-ng host. */
import { xapiDriver } from '../../controller/drivers/xapi/index.ts'
import { type DriverWorld, describeDriverContract, type MarkerDamage } from '../../controller/hypervisor/contract.ts'
import { volumeNames, type XAPITarget } from '../../controller/hypervisor/port.ts'
import type { PoolControl } from '../../xapi-simulator/index.ts'
import { startPools } from '../support/xapi-pools.ts'

const MiB = 2 ** 20

async function setup(): Promise<DriverWorld> {
  const pools = await startPools([
    {
      name: 'contract',
      srs: [
        { name: 'Shared', type: 'nfs', shared: true, size: 4096 * MiB },
        { name: 'Small', type: 'nfs', shared: true, size: 12 * MiB },
      ],
      networks: [{ name: 'Pool-wide network' }],
    },
  ])
  const [pool] = pools.pools
  if (pool === undefined) throw new Error('no pool was started')
  const { control } = pool
  control.setGuest({ agent: false })
  const target: XAPITarget = pools.target(pool)
  return {
    driver: xapiDriver,
    target,
    nowhere: { ...target, members: ['https://127.0.0.1:1'] },
    machine: { architecture: 'x86_64', memory: 32 * MiB },
    pool: 'Shared',
    poolType: 'SR',
    smallPool: 'Small',
    newDirectory: '/nowhere',
    attachment: { xapiNetwork: 'Pool-wide network' },
    missingAttachment: { xapiNetwork: 'contract-no-such-network' },
    qcow2: { content: Buffer.alloc(MiB), virtualSize: MiB },
    makeForeign: async (hostName) => control.database.get('VM', control.makeForeign(hostName)).uuid,
    describeMachine: async (id) => JSON.stringify(describe(control, id)),
    removeForeign: async (id) => control.database.remove('VM', machineOf(control, id)),
    makeTransient: () => lacking('transient machines'),
    lastStart: () => lacking('reasons of starts'),
    savedMemories: async () =>
      control.database.all('VDI').flatMap(([vdi, { type }]) => (type === 'suspend' ? vdi : [])),
    snapshotDisks: () => lacking('external snapshots'),
    diskSources: () => [],
    attachedVolumes: async (id) => attachedVolumes(control, id),
    attachForeignDisk: async (id) => void control.attachForeignDisk(machineOf(control, id)),
    holdOnToDisks: async (hold) => control.setGuest({ releasesDisks: !hold }),
    guestDiskSize: () => lacking('disks that grow while a machine has them'),
    readVolume: async (_, volume) => readVolume(control, volume),
    async damageMarker(_, digest, damage) {
      const [vdi, { other_config }] = vdiOf(control, volumeNames.image(digest))
      const content = damaged(other_config['berth.dev/content'] ?? '', digest, damage)
      control.database.update('VDI', vdi, { other_config: { ...other_config, 'berth.dev/content': content } })
    },
    async truncateImage(_, digest) {
      const [vdi, { virtual_size }] = vdiOf(control, volumeNames.image(digest))
      control.database.update('VDI', vdi, { virtual_size: virtual_size / 8 })
    },
    makeVolume: () => lacking('volumes of others'),
    restart: () => control.restartToolstack(0),
    async freeze() {
      return lacking('freezing')
    },
    tearDown: () => pools.stop(),
  }
}

function lacking(what: string): never {
  throw new Error(`the simulator has no ${what}`)
}

/** By UUID, or by the instance that the tag names. */
function machineOf({ database }: PoolControl, id: string): string {
  const found = database
    .all('VM')
    .find(([, { uuid, other_config }]) => uuid === id || other_config['berth.dev/instanceID'] === id)
  if (found === undefined) throw new Error(`no machine ${id}`)
  return found[0]
}

function describe(control: PoolControl, id: string): object {
  const { allowed_operations, ...vm } = control.database.get('VM', machineOf(control, id))
  return vm
}

function attachedVolumes(control: PoolControl, id: string): string[] {
  const { database } = control
  const vm = machineOf(control, id)
  return database
    .all('VBD')
    .filter(([, { VM, currently_attached }]) => VM === vm && currently_attached)
    .map(([, { VDI }]) => database.get('VDI', VDI))
    .map(({ other_config, name_label }) => other_config['berth.dev/volume'] ?? name_label)
}

function vdiOf({ database }: PoolControl, volume: string) {
  const [found] = database
    .all('VDI')
    .filter(([, { other_config }]) => other_config['berth.dev/volume'] === volume)
    // One that is whole before those that are being written.
    .toSorted(([, one], [, other]) => Number(isWhole(other)) - Number(isWhole(one)))
  if (found === undefined) throw new Error(`no VDI is the volume ${volume}`)
  return found
}

const isWhole = ({ other_config }: { readonly other_config: Readonly<Record<string, string>> }): boolean =>
  other_config['berth.dev/self'] !== undefined

/** Without what rounds it up to the blocks of the SR. */
function readVolume(control: PoolControl, volume: string): Buffer {
  const [vdi, { other_config, virtual_size }] = vdiOf(control, volume)
  const { length } = JSON.parse(other_config['berth.dev/content'] ?? '{}') as { readonly length?: number }
  return control.readDisk(vdi, 0, length ?? virtual_size)
}

function damaged(marker: string, digest: string, damage: MarkerDamage): string {
  switch (damage) {
    case 'CutShort':
      return marker.slice(0, -8)
    case 'Zeroed':
      return '0'.repeat(marker.length)
    case 'Emptied':
      return ''
    case 'OfAnotherImage':
      return marker.replace(digest, 'f'.repeat(64))
  }
}

describeDriverContract('xapi with the simulator', setup, {
  QCOW2: 'VDIs take raw bytes',
  LinkedClone: 'disks are copies: XAPI clones a disk by a call that can carry no tag',
  ExternalSnapshots: 'a snapshot leaves the disk that a machine uses where it is',
  GrowDisk: 'SRs resize no disk that a machine has',
  DirectoryPools: 'SRs are made on the pool',
  ChosenIDs: 'XAPI chooses the UUID of a machine',
  TransientMachines: 'a machine is in the database as long as it runs',
  StartReasons: 'XAPI keeps no reason',
  StopReasons: 'XAPI keeps no reason',
  Freezing: 'the simulator hangs by call, which the tests of the driver use',
})
