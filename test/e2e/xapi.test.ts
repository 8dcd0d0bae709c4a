/** Machines on XAPI pools, from manifests to deletion: real API server, the controller as a process, simulated pools. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { Hypervisor, Network, StoragePool, VirtualMachine } from '../../controller/api/index.ts'
import * as manifests from '../../hack/lab/manifests.ts'
import { until } from '../../hack/lab/wait.ts'
import type { RunningPool } from '../../xapi-simulator/index.ts'
import { password, startPools, username, type XAPIPools } from '../support/xapi-pools.ts'
import { Lab, patience } from './lab.ts'

const GiB = 2 ** 30
/** As pools call it when they are installed, and as docs/samples does. */
const networkName = 'Pool-wide network associated with eth0'
let lab: Lab
let pools: XAPIPools

beforeAll(async () => {
  const srs = [{ name: 'Shared storage', type: 'nfs', shared: true, size: 64 * GiB }]
  const networks = [{ name: networkName }]
  ;[lab, pools] = await Promise.all([
    Lab.start(0),
    startPools([
      { name: 'xcp', members: 2, srs, networks },
      { name: 'by-file', srs, networks },
    ]),
  ])
  for (const { control } of pools.pools) control.setGuest({ agent: true, agentDelay: 0 })
  lab.startController()
  const network = {
    apiVersion: 'berth.dev/v1alpha1',
    kind: 'Network',
    metadata: { name: 'lan' },
    spec: { attachments: [{ hypervisor: '*', xapiNetwork: networkName }] },
  }
  const declared = [...pools.pools.flatMap(declare), network]
  const everything = [manifests.size('tiny', 1, '128Mi'), ...declared, lab.image('reference')]
  await lab.apply(manifests.list(...(everything as Record<string, unknown>[])))
}, 300_000)
afterAll(async () => {
  await lab?.stop()
  await pools?.stop()
}, 60_000)

const keys = () => ({ username, password, 'ca.crt': pools.certificateAuthority })

function credentialsFor(name: string): { readonly manifests: readonly object[]; readonly credentials: object } {
  if (name === 'xcp') {
    const metadata = { name, namespace: 'berth-system' }
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata, stringData: keys() }
    return { manifests: [secret], credentials: { secretRef: { name } } }
  }
  const folder = join(lab.directory, `credentials-${name}`)
  mkdirSync(folder)
  for (const [key, value] of Object.entries(keys())) writeFileSync(join(folder, key), value)
  return { manifests: [], credentials: { file: folder } }
}

function declare({ name, urls }: RunningPool): object[] {
  const { manifests: secrets, credentials } = credentialsFor(name)
  const api = { apiVersion: 'berth.dev/v1alpha1', metadata: { name } }
  const slots = [{ name: 'tiny', count: 1, size: 'tiny' }]
  return [
    ...secrets,
    { ...api, kind: 'Hypervisor', spec: { xapi: { members: urls }, credentials, slots } },
    { ...api, kind: 'StoragePool', spec: { hypervisor: name, type: 'SR', poolName: 'Shared storage' } },
  ]
}

const setPower = (powerState: string) => lab.patch('web', { powerState })

const vmsOf = ({ control }: RunningPool, name: string) =>
  control.database.all('VM').filter(([, { other_config }]) => other_config['berth.dev/name'] === name)
const disksOf = ({ control }: RunningPool) =>
  control.database.all('VDI').filter(([, { other_config }]) => other_config['berth.dev/instanceID'] !== undefined)

test('two pools, a machine on each; stopped, started and deleted; nothing is left but the image', async () => {
  for (const { name } of pools.pools) {
    const hypervisor = await lab.condition<Hypervisor>('hypervisors', name, 'Ready', 'True')
    expect(hypervisor.status).toMatchObject({
      driver: 'xapi',
      capabilities: { storageTypes: ['SR'], modes: ['HVM', 'PV'] },
    })
    await lab.condition<StoragePool>('storagepools', name, 'Ready', 'True')
  }
  expect((await lab.get<Hypervisor>('hypervisors', 'xcp'))?.status?.hosts).toHaveLength(2)
  await lab.condition<Network>('networks', 'lan', 'Ready', 'True')

  await Promise.all(['web', 'db'].map((name) => lab.apply(lab.machine(name))))
  for (const name of ['web', 'db']) {
    expect(await lab.address(name)).toMatch(/^\d+(\.\d+){3}$/)
    const [on] = pools.pools.filter((pool) => vmsOf(pool, name).length === 1)
    const [[, vm] = ['', undefined]] = on ? vmsOf(on, name) : []
    const uid = (await lab.get<VirtualMachine>('virtualmachines', name))?.metadata.uid
    expect(vm).toMatchObject({ power_state: 'Running', name_label: `e2e_${name}` })
    expect(vm?.other_config).toMatchObject({ 'berth.dev/instanceID': uid, 'berth.dev/namespace': 'e2e' })
  }

  await setPower('Stopped')
  await lab.condition('virtualmachines', 'web', 'Ready', 'True', 'Stopped')
  const [pool] = pools.pools.filter((one) => vmsOf(one, 'web').length === 1)
  if (!pool) throw new Error('the stopped machine is on no pool')
  // Off, and refused by the pool itself when somebody starts it.
  expect(Object.keys(vmsOf(pool, 'web')[0]?.[1].blocked_operations ?? {})).toContain('start')
  await setPower('Running')
  await lab.running('web')

  await lab.kubectl('delete', 'virtualmachines.berth.dev', 'web', 'db', '--namespace=e2e', '--timeout=120s')
  await until(
    'no machines',
    async () => pools.pools.every((one) => vmsOf(one, 'web').length + vmsOf(one, 'db').length === 0),
    patience,
  )
  for (const one of pools.pools) expect(disksOf(one)).toEqual([])
}, 300_000)

test('the sample machine runs here unchanged, as it does on QEMU and on Xen', async () => {
  expect(await lab.runSampleMachine('xcp')).toMatch(/^\d+(\.\d+){3}$/)
  expect((await lab.get<VirtualMachine>('virtualmachines', 'web'))?.status?.slot).toBe('xcp-small-0')
  await lab.remove('virtualmachines', 'web')
}, 300_000)

test.each(['before', 'after'] as const)(
  'connections that break %s each effect: a machine is made once, and nothing of it is left',
  async (when) => {
    const name = `lossy-${when}`
    const effects = ['VM.create', 'VDI.create', 'Async.VDI.copy', '/import_raw_vdi', 'VBD.create', 'VIF.create']
    const ends = ['Async.VM.hard_shutdown', 'VM.destroy', 'VDI.destroy', 'Async.VDI.destroy']
    for (const { control } of pools.pools) {
      for (const effect of [...effects, 'Async.VM.start', ...ends]) control.fault(effect, { kind: 'reset', when })
    }
    await lab.apply(lab.machine(name, { shutdownMode: 'Hard' }))
    await lab.running(name)
    const uid = (await lab.get<VirtualMachine>('virtualmachines', name))?.metadata.uid
    const made = pools.pools.flatMap((pool) => vmsOf(pool, name))
    expect(made.map(([, { power_state }]) => power_state)).toEqual(['Running'])
    const disks = pools.pools.flatMap(disksOf).filter(([, vdi]) => vdi.other_config['berth.dev/instanceID'] === uid)
    expect(disks).toHaveLength(2)
    await lab.remove('virtualmachines', name)
    const [used] = pools.pools.filter(({ control }) => !control.plannedFaults.includes('VM.create'))
    // Every one of them was met.
    expect(used?.control.plannedFaults).toEqual([])
    for (const { control } of pools.pools) control.clearFaults()
    await until('nothing of it is left', () => pools.pools.every((pool) => vmsOf(pool, name).length === 0), patience)
    expect(pools.pools.flatMap(disksOf)).toEqual([])
  },
  300_000,
)
