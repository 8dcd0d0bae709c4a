/** The driver contract on a real libvirt daemon with QEMU (TCG), and what only libvirt has. Needs root. */
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { libvirtDriver } from '../../controller/drivers/libvirt/index.ts'
import { type DriverWorld, damagedMarker, describeDriverContract } from '../../controller/hypervisor/contract.ts'
import { volumeNames } from '../../controller/hypervisor/port.ts'
import { type Hypervisor, startHypervisor } from '../../hack/hypervisor/index.ts'
import { run } from '../../hack/hypervisor/process.ts'
import { freezeDaemon } from './support/freeze.ts'

const MiB = 2 ** 20

let hypervisor: Hypervisor | undefined

function host(): Hypervisor {
  if (hypervisor === undefined) throw new Error('no hypervisor was started')
  return hypervisor
}

async function virsh(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await host().virsh(args)
  if (code !== 0) throw new Error(`virsh ${args[0]}: ${stderr}`)
  return stdout
}

async function qcow2Image(directory: string, virtualSize: number): Promise<Buffer> {
  const path = join(directory, 'image.qcow2')
  const { code, stderr } = await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(virtualSize)])
  if (code !== 0) throw new Error(`qemu-img: ${stderr}`)
  return readFileSync(path)
}

async function setup(): Promise<DriverWorld> {
  hypervisor = await startHypervisor({ name: 'contract' })
  const { directory, uri, poolName, poolPath, networkName } = hypervisor
  const smallPool = 'small'
  await inHost('mkdir', '-p', join(directory, smallPool))
  await inHost('mount', '-t', 'tmpfs', '-o', 'size=12m', 'small', join(directory, smallPool))
  await virsh('pool-create-as', smallPool, 'dir', '--target', join(directory, smallPool))
  const scratch = mkdtempSync(join(tmpdir(), 'berth-contract-'))
  const virtualSize = 64 * MiB
  const pathOf = (pool: string, volume: string) => {
    if (pool !== poolName) throw new Error(`pool '${pool}' cannot be reached from here`)
    return join(poolPath, volume)
  }
  return {
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
    qcow2: { content: await qcow2Image(scratch, virtualSize), virtualSize },
    async makeForeign(hostName, id) {
      const path = join(scratch, `${id}.xml`)
      writeFileSync(
        path,
        `<domain type='qemu'><name>${hostName}</name><uuid>${id}</uuid><memory unit='MiB'>32</memory>
         <os><type arch='x86_64' machine='pc'>hvm</type></os></domain>`,
      )
      await virsh('define', path)
      return id
    },
    describeMachine: async (id) =>
      `${await virsh('dumpxml', '--inactive', id)}${await virsh('domstate', '--reason', id)}`,
    removeForeign: async (id) => {
      await virsh('undefine', id)
    },
    makeTransient: async (id) => {
      await virsh('undefine', id)
    },
    snapshotDisks: async (id) => {
      await virsh('snapshot-create-as', id, 'backup', '--disk-only', '--no-metadata')
      await virsh('pool-refresh', poolName)
    },
    diskSources: (description) => description.match(/<source file=[^>]*>/g) ?? [],
    readVolume: async (pool, volume) => readFileSync(pathOf(pool, volume)),
    async damageMarker(pool, digest, damage) {
      const path = pathOf(pool, volumeNames.imageMarker(digest))
      writeFileSync(path, damagedMarker(readFileSync(path), digest, damage))
    },
    truncateImage: async (pool, digest) => {
      const path = pathOf(pool, volumeNames.image(digest))
      truncateSync(path, statSync(path).size / 2)
    },
    makeVolume: async (pool, volume) => {
      await virsh('vol-create-as', pool, volume, '1M')
    },
    restart: () => host().restartDaemon(),
    freeze: () => freezeDaemon(host()),
    async tearDown() {
      rmSync(scratch, { recursive: true })
      await hypervisor?.stop()
    },
  }
}

async function inHost(command: string, ...args: readonly string[]): Promise<void> {
  const { code, stderr } = await host().run(command, args)
  if (code !== 0) throw new Error(`${command}: ${stderr}`)
}

describeDriverContract('libvirt, QEMU', setup)
