/** The driver contract on a real libvirt daemon with QEMU (TCG), and what only libvirt has. Needs root. */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { libvirtDriver } from '../../controller/drivers/libvirt/index.ts'
import { type DriverWorld, damagedMarker, describeDriverContract } from '../../controller/hypervisor/contract.ts'
import { volumeNames } from '../../controller/hypervisor/port.ts'
import { startHypervisor } from '../../hack/hypervisor/index.ts'
import { freezeDaemon } from './support/freeze.ts'
import { VirshWorld } from './support/virsh-world.ts'

const MiB = 2 ** 20

async function setup(): Promise<DriverWorld> {
  const hypervisor = await startHypervisor({ name: 'contract' })
  const { directory, uri, poolName, poolPath, networkName } = hypervisor
  const world = new VirshWorld(hypervisor.virsh)
  const inHost = async (command: string, ...args: readonly string[]) => {
    const { code, stdout, stderr } = await hypervisor.run(command, args)
    if (code !== 0) throw new Error(`${command}: ${stderr}`)
    return stdout
  }
  const smallPool = 'small'
  await inHost('mkdir', '-p', join(directory, smallPool))
  await inHost('mount', '-t', 'tmpfs', '-o', 'size=12m', 'small', join(directory, smallPool))
  await world.virsh('pool-create-as', smallPool, 'dir', '--target', join(directory, smallPool))
  const pathOf = (pool: string, volume: string) => {
    if (pool !== poolName) throw new Error(`pool '${pool}' cannot be reached from here`)
    return join(poolPath, volume)
  }
  return {
    ...world.members,
    driver: libvirtDriver,
    target: { uri, callTimeout: 30_000 },
    nowhere: { uri: `qemu+unix:///system?socket=${directory}/nothing-here`, callTimeout: 5_000 },
    machine: { architecture: 'x86_64', accelerator: 'QEMU', memory: 32 * MiB },
    pool: poolName,
    poolType: 'Directory',
    smallPool,
    newDirectory: join(directory, 'new-pool'),
    attachment: { libvirtNetwork: networkName },
    missingAttachment: { libvirtNetwork: 'contract-no-such-network' },
    qcow2: await world.qcow2(64 * MiB),
    async makeForeign(hostName, id) {
      const memory = "<memory unit='MiB'>32</memory>"
      const os = "<os><type arch='x86_64' machine='pc'>hvm</type></os>"
      await world.define(id, `<domain type='qemu'><name>${hostName}</name><uuid>${id}</uuid>${memory}${os}</domain>`)
      return id
    },
    savedMemories: async () =>
      (await inHost('ls', '/var/lib/libvirt/qemu/save')).split('\n').filter((file) => file !== ''),
    snapshotDisks: async (id) => {
      await world.virsh('snapshot-create-as', id, 'backup', '--disk-only', '--no-metadata')
      await world.virsh('pool-refresh', poolName)
    },
    attachForeignDisk: (id) => world.attachForeignDisk(id, poolName, 'vdz'),
    // Firmware, which hears nothing.
    holdOnToDisks: async () => undefined,
    readVolume: async (pool, volume) => readFileSync(pathOf(pool, volume)),
    async damageMarker(pool, digest, damage) {
      const path = pathOf(pool, volumeNames.imageMarker(digest))
      writeFileSync(path, damagedMarker(readFileSync(path), digest, damage))
    },
    truncateImage: async (pool, digest) => {
      const path = pathOf(pool, volumeNames.image(digest))
      truncateSync(path, statSync(path).size / 2)
    },
    restart: () => hypervisor.restartDaemon(),
    freeze: () => freezeDaemon(hypervisor),
    async tearDown() {
      world.tearDown()
      await hypervisor.stop()
    },
  }
}

describeDriverContract('libvirt, QEMU', setup, {
  LettingGo:
    'the firmware of its guests does not hear that a disk is to go; that of a real one does in libvirt-guest.test.ts',
})
