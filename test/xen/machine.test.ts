/** The sample machine, unchanged, on a real Xen host: from kubectl apply to a PV guest that answers, and away again. K1, H2. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Hypervisor, Slot, VirtualMachine } from '../../controller/api/index.ts'
import * as manifests from '../../hack/lab/manifests.ts'
import { until } from '../../hack/lab/wait.ts'
import { Lab, namespace, patience } from '../e2e/lab.ts'
import { sharedXen } from './shared-xen.ts'

const xen = sharedXen()
const domain = `${namespace}_web`
let lab: Lab
let before: string

beforeAll(async () => {
  before = await inventory()
  lab = await Lab.start(0)
  lab.startController()
  await lab.apply(
    manifests.list(
      manifests.hypervisorSecret(xen.name, 'berth-system', xen),
      manifests.hypervisor(xen.name, xen.name, xen, undefined, {
        slots: [{ name: 'small', count: 1, size: 'small' }],
        // libxl starts a guest in one call, and here the host's CPU is emulated.
        limits: { callTimeout: '10m' },
      }),
      manifests.storagePool('xen1-disks', xen.name, xen),
      manifests.clusterImage('debian-12', `${lab.images.url}/reference.qcow2`, lab.reference, { boot: { mode: 'PV' } }),
    ),
  )
  for (const sample of ['size', 'network']) await lab.applySample(sample)
  await lab.condition('hypervisors', xen.name, 'Ready', 'True')
})
afterAll(() => lab?.stop())

const setPower = (powerState: string) => {
  const patch = JSON.stringify({ spec: { powerState } })
  return lab.kubectl('patch', 'bvm', 'web', '--namespace', namespace, '--type=merge', '--patch', patch)
}

async function virsh(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await xen.virsh(args)
  if (code !== 0) throw new Error(`virsh ${args[0]}: ${stderr}`)
  return stdout
}

/** Domains and volumes, by name. */
async function inventory(): Promise<string> {
  await virsh('pool-refresh', xen.poolName)
  return `${await virsh('list', '--all', '--name')}${await virsh('vol-list', xen.poolName)}`
}

/** Asks the guest's echo service from dom0, the only place that its network reaches. */
const echo = (address: string, line: string) =>
  until(
    `the echo service at ${address}`,
    async () => {
      const { stdout } = await xen.run(`printf '${line}\\nEXIT\\n' | busybox nc -w 10 ${address} 7`)
      return stdout.includes(line) && stdout
    },
    patience,
  )

describe('the sample machine on Xen', () => {
  test('E9: the host says what it can do, and pretends nothing', async () => {
    const host = await lab.get<Hypervisor>('hypervisors', xen.name)
    expect(host?.status).toMatchObject({
      driver: 'libvirt',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      version: expect.stringMatching(/^libvirt \S+, Xen 4\.17/),
      capabilities: { modes: ['HVM', 'PV', 'PVH'], architectures: ['x86_64'] },
    })
    expect(host?.status?.capabilities?.features ?? []).not.toContain('GuestAgent')
    expect(host?.status?.capabilities?.accelerators ?? []).toEqual([])
  })

  test('runs as a PV guest, with the address that the host’s DHCP server gave it', async () => {
    await lab.applySample('machine')
    const address = await lab.address('web')
    expect(await virsh('dumpxml', domain)).toMatch(/machine='xenpv'>linux</)
    expect(await echo(address, 'hello')).toContain(`${address} hello`)
    const machine = await lab.get<VirtualMachine>('virtualmachines', 'web')
    expect(machine?.status).toMatchObject({ powerState: 'Running', slot: 'xen1-small-0', hypervisor: xen.name })
    expect(machine?.status?.networkInterfaces?.[0]?.addresses?.[0]).toMatchObject({ address, source: 'Lease' })
  })

  test('stopped, its guest has shut down, its slot is free, and the host refuses to start it', async () => {
    await setPower('Stopped')
    await lab.condition('virtualmachines', 'web', 'Ready', 'True', 'Stopped')
    expect(await virsh('domstate', '--reason', domain)).toContain('shut off (shutdown)')
    await until(
      'its slot is free',
      async () => (await lab.get<Slot>('slots', 'xen1-small-0'))?.status?.phase === 'Free',
      patience,
    )
    expect(await xen.virsh(['start', domain])).not.toMatchObject({ code: 0 })
  })

  test('started again it is the same machine with the same disk', async () => {
    const id = (await lab.get<VirtualMachine>('virtualmachines', 'web'))?.status?.hypervisorID
    await setPower('Running')
    const address = await lab.address('web')
    expect(await echo(address, 'again')).toContain('again')
    expect((await lab.get<VirtualMachine>('virtualmachines', 'web'))?.status?.hypervisorID).toBe(id)
  })

  test('deleted, nothing of it is left on the host', async () => {
    await lab.remove('virtualmachines', 'web')
    await lab.remove('clusterimages', 'debian-12')
    expect(await inventory()).toBe(before)
  })
})
