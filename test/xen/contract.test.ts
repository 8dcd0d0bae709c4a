/** The driver contract on a real Xen host: libvirt's libxl driver over TLS. */
import { readFileSync } from 'node:fs'
import { libvirtDriver } from '../../controller/drivers/libvirt/index.ts'
import { type DriverWorld, describeDriverContract, type MarkerDamage } from '../../controller/hypervisor/contract.ts'
import { volumeNames } from '../../controller/hypervisor/port.ts'
import { VirshWorld } from '../contract/support/virsh-world.ts'
import { sharedXen } from './shared-xen.ts'

const xen = sharedXen()
const MiB = 2 ** 20

const world = new VirshWorld(xen.virsh)

async function inHost(command: string): Promise<string> {
  const { code, stdout, stderr } = await xen.run(`set -e; ${command}`)
  if (code !== 0) throw new Error(`${command}: ${stderr}`)
  return stdout
}

const damages: Readonly<Record<MarkerDamage, (path: string, digest: string) => string>> = {
  CutShort: (path) => `truncate --size=-8 ${path}`,
  Zeroed: (path) => `size=$(stat --format=%s ${path}); truncate --size=0 ${path}; truncate --size=$size ${path}`,
  Emptied: (path) => `truncate --size=0 ${path}`,
  OfAnotherImage: (path, digest) => `sed --in-place s/${digest}/${'f'.repeat(64)}/ ${path}`,
}

async function setup(): Promise<DriverWorld> {
  const { poolName, poolPath, networkName, tlsUri, pki } = xen
  const pem = (path: string) => readFileSync(path, 'utf8')
  const credentials = {
    certificateAuthority: pem(pki.ca),
    clientCertificate: pem(pki.clientCertificate),
    clientKey: pem(pki.clientKey),
  }
  await inHost('mkdir --parents /srv/small; mount -t tmpfs -o size=12m small /srv/small')
  await world.virsh('pool-create-as', 'small', 'dir', '--target', '/srv/small')
  const pathOf = (pool: string, volume: string) => {
    if (pool !== poolName) throw new Error(`pool '${pool}' cannot be reached from here`)
    return `${poolPath}/${volume}`
  }
  return {
    ...world.members,
    driver: libvirtDriver,
    // libxl works on one call at a time for each guest, and software emulates the host.
    target: { uri: tlsUri, credentials, callTimeout: 600_000 },
    nowhere: { uri: 'xen+tls://127.0.0.1:1/system', credentials, callTimeout: 5_000 },
    machine: { architecture: 'x86_64', memory: 32 * MiB },
    pool: poolName,
    poolType: 'Directory',
    smallPool: 'small',
    newDirectory: '/srv/new-pool',
    attachment: { libvirtNetwork: networkName },
    otherAttachment: { bridge: 'virbr0' },
    missingAttachment: { libvirtNetwork: 'contract-no-such-network' },
    qcow2: await world.qcow2(64 * MiB),
    async makeForeign(hostName, id) {
      const os = "<os><type arch='x86_64' machine='xenpv'>xen</type></os>"
      const memory = "<memory unit='MiB'>32</memory>"
      await world.define(id, `<domain type='xen'><name>${hostName}</name><uuid>${id}</uuid>${memory}${os}</domain>`)
      return id
    },
    savedMemories: async () =>
      (await inHost('ls /var/lib/libvirt/libxl/save')).split('\n').filter((file) => file !== ''),
    // libxl takes none; by hand, the disks become copies over what they were.
    async snapshotDisks(id) {
      const moved = (await world.virsh('dumpxml', '--inactive', id)).replaceAll(
        /file='([^']*-(?:root|data))'/g,
        "file='$1.backup'",
      )
      await world.define(id, moved)
    },
    attachForeignDisk: (id) => world.attachForeignDisk(id, poolName, 'xvdz'),
    holdOnToDisks: async () => undefined,
    readVolume: async (pool, volume) => Buffer.from(await inHost(`base64 ${pathOf(pool, volume)}`), 'base64'),
    damageMarker: async (pool, digest, damage) => {
      await inHost(damages[damage](pathOf(pool, volumeNames.imageMarker(digest)), digest))
    },
    truncateImage: async (pool, digest) => {
      const path = pathOf(pool, volumeNames.image(digest))
      await inHost(`truncate --size=$(($(stat --format=%s ${path}) / 2)) ${path}`)
    },
    restart: () => xen.restartDaemon(),
    async freeze() {
      const signal = (name: string) => inHost(`kill -${name} $(cat /run/libvirt/libvirtd.pid)`)
      await signal('STOP')
      return async () => {
        await signal('CONT')
      }
    },
    async tearDown() {
      world.tearDown()
      await world.virsh('pool-destroy', 'small')
      await inHost('umount /srv/small')
    },
  }
}

describeDriverContract('libvirt, Xen', setup, {
  AntiSpoofing: 'libxl does not know the packet filters of libvirt',
  GrowDisk: 'libxl tells no guest that its disk has grown',
  HoldingOn: 'libxl takes a disk from a guest that does not let go of it after a while',
  HotPlugCPU: 'the driver does not ask libxl for it yet',
  HotPlugMemory: 'the driver does not ask libxl for it yet',
  StartReasons: 'libxl says of every start that it was a boot',
})
