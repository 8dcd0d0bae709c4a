/**
 * The driver contract on libvirt's own mock driver. It shares nothing with QEMU but libvirt's interface, and keeps all
 * in the daemon's memory. Needs root.
 */
import { formatDomain } from '../../controller/drivers/libvirt/domain-xml.ts'
import { libvirtDriver } from '../../controller/drivers/libvirt/index.ts'
import { type DriverWorld, describeDriverContract, type Lacks } from '../../controller/hypervisor/contract.ts'
import { startHypervisor } from '../../hack/hypervisor/index.ts'
import { run } from '../../hack/hypervisor/process.ts'
import { freezeDaemon } from './support/freeze.ts'
import { VirshWorld } from './support/virsh-world.ts'

const MiB = 2 ** 20

const lacks: Lacks = {
  Definitions: 'it offers i686 alone, which Berth writes no definitions for',
  Uploads: 'its storage has no streams',
  HotPlugCPU: 'its machines are no guests of QEMU',
  HotPlugMemory: 'its machines are no guests of QEMU',
  PausedStarts: 'its start takes no flags',
  HotPlugNetwork: 'Berth writes no devices for its machines',
  AntiSpoofing: 'it has no packets to filter',
  StartReasons: 'it says of every start that it was a boot',
  HotPlugDisk: 'it has no calls for it',
  GrowDisk: 'it has no calls for it',
  LettingGo: 'it takes no disk from what runs',
  HoldingOn: 'it takes no disk from what runs',
  FencedStart: 'it starts a machine without looking for its networks',
  DeafGuests: 'its guests obey at once',
  Restart: 'its machines are gone with the daemon',
}

async function setup(): Promise<DriverWorld> {
  const hypervisor = await startHypervisor({ name: 'contract-test' })
  const uri = hypervisor.uri.replace('qemu+unix:///system', 'test+unix:///default')
  const world = new VirshWorld((args) => run('virsh', ['-q', '-c', uri, ...args]))
  const excluded = () => {
    throw new Error('excluded by what the host lacks')
  }
  // The daemon forgets everything with the last connection to this driver.
  const keeper = await libvirtDriver.connect({ uri, callTimeout: 30_000 })
  return {
    ...world.members,
    driver: libvirtDriver,
    target: { uri, callTimeout: 30_000 },
    nowhere: { uri: uri.replace(hypervisor.socketPath, `${hypervisor.directory}/nothing-here`), callTimeout: 5_000 },
    machine: { architecture: 'i686', memory: 32 * MiB },
    pool: 'default-pool',
    poolType: 'Directory',
    smallPool: '',
    newDirectory: '/contract-new-pool',
    attachment: { libvirtNetwork: 'default' },
    otherAttachment: { bridge: 'virbr0' },
    missingAttachment: { libvirtNetwork: 'contract-no-such-network' },
    qcow2: { content: Buffer.alloc(0), virtualSize: 0 },
    async makeForeign(hostName, id) {
      const memory = "<memory unit='MiB'>32</memory>"
      const os = "<os><type arch='i686'>hvm</type></os>"
      await world.define(id, `<domain type='test'><name>${hostName}</name><uuid>${id}</uuid>${memory}${os}</domain>`)
      return id
    },
    async defineMachine({ tag, hostName, cpus, memory, architecture, seed, interfaces }) {
      const id = tag.instanceID
      const xml = formatDomain({
        id,
        name: hostName,
        tag,
        cpus,
        memory,
        architecture,
        machineType: 'pc',
        virtualisation: 'QEMU',
        mode: 'HVM',
        disks: [],
        seed: { ...seed, path: `/default-pool/${seed.volume}` },
        interfaces,
      })
      await world.define(id, xml.replace('<domain type="qemu">', '<domain type="test">').replace(' machine="pc"', ''))
    },
    savedMemories: async () =>
      (await world.virsh('list', '--all', '--with-managed-save', '--uuid'))
        .split('\n')
        .filter((id) => id.trim() !== ''),
    freeze: () => freezeDaemon(hypervisor),
    snapshotDisks: excluded,
    diskSources: excluded,
    attachForeignDisk: excluded,
    holdOnToDisks: excluded,
    readVolume: excluded,
    damageMarker: excluded,
    truncateImage: excluded,
    restart: excluded,
    async tearDown() {
      await keeper.close()
      world.tearDown()
      await hypervisor.stop()
    },
  }
}

describeDriverContract('libvirt, test', setup, lacks)
