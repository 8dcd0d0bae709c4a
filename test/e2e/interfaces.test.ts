/** Network interfaces of a machine that runs: added, moved, filtered and removed; libvirt, the bridge and the guest tell. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { VirtualMachine } from '../../controller/api/index.ts'
import { until } from '../../hack/lab/wait.ts'
import { Lab, login, namespace, patience } from './lab.ts'

const domain = `${namespace}_net`
const bridge = 'virbr-side'
const main = { name: 'eth0', network: 'lan' }
const forged = '52:54:00:de:ad:01'
const foreign = '52:54:00:00:0f:0f'

let lab: Lab
let address: string
let bootID: string
let mainMAC: string
let sideMAC: string

const virsh = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await lab.hypervisor.virsh(args)
  if (code !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr}`)
  return stdout.trim()
}

/** A bridge without addresses, as an administrator makes a second network. */
async function addNetwork(): Promise<void> {
  const path = join(lab.directory, 'side.xml')
  writeFileSync(path, `<network><name>side</name><bridge name='${bridge}' stp='off' delay='0'/></network>`)
  await virsh('net-define', path)
  await virsh('net-start', 'side')
  const spec = { attachments: [{ hypervisor: 'kvm1', libvirtNetwork: 'side' }] }
  await lab.apply(
    JSON.stringify({ apiVersion: 'berth.dev/v1alpha1', kind: 'Network', metadata: { name: 'side' }, spec }),
  )
}

beforeAll(async () => {
  lab = await Lab.start(1)
  lab.startController()
  await lab.declare()
  await addNetwork()
  await lab.apply(lab.machine('net', { networkInterfaces: [main] }))
  address = await lab.address('net')
  bootID = await inGuest('cat /proc/sys/kernel/random/boot_id')
  mainMAC = (await seen())[0]?.macAddress ?? ''
})
afterAll(async () => {
  await lab?.stop()
})

async function inGuest(command: string): Promise<string> {
  const { code, stdout, stderr } = await login(address, lab.key, command)
  if (code !== 0) throw new Error(`${command}: ${stderr}`)
  return stdout.trim()
}
const status = async () => (await lab.get<VirtualMachine>('virtualmachines', 'net'))?.status
const seen = async () => (await status())?.networkInterfaces ?? []

/** MAC addresses with what they are on, as virsh tells them of what runs, or of the next start. */
async function interfaces(...options: string[]): Promise<Record<string, string>> {
  const lines = (await virsh('domiflist', domain, ...options)).split('\n').map((line) => line.trim().split(/\s+/))
  return Object.fromEntries(lines.filter(({ length }) => length === 5).map(([, , source, , mac]) => [mac, source]))
}
/** Both say the same. */
const expectInterfaces = (wanted: Record<string, string>) =>
  until(
    `the domain has ${JSON.stringify(wanted)}`,
    async () => {
      expect(await interfaces()).toEqual(wanted)
      expect(await interfaces('--inactive')).toEqual(wanted)
      return true
    },
    patience,
  )
const declare = (...networkInterfaces: object[]) => lab.patch('net', { networkInterfaces })
const side = (network: string) => ({ name: 'side', network })

/** The guest's own name of the interface with that MAC address; undefined: it has none. */
const nameInGuest = async (macAddress: string): Promise<string | undefined> =>
  (await inGuest('grep -H . /sys/class/net/*/address'))
    .split('\n')
    .find((line) => line.endsWith(macAddress))
    ?.split('/')[4]
const expectSameRun = async () => {
  expect(await inGuest('cat /proc/sys/kernel/random/boot_id')).toBe(bootID)
  expect((await seen())[0]).toMatchObject({ macAddress: mainMAC, state: 'Attached' })
}

/** MAC addresses that the bridge has had frames from. */
const heardOnBridge = async (): Promise<string> =>
  (await lab.hypervisor.run('bridge', ['fdb', 'show', 'br', bridge, 'dynamic'])).stdout
/** The guest calls into the second network from that MAC address; nobody answers. */
async function callFrom(device: string, macAddress: string): Promise<void> {
  const reset = `ip link set ${device} down; ip link set ${device} address ${macAddress}; ip link set ${device} up`
  await inGuest(`${reset}; ip address replace 192.0.2.2/24 dev ${device}; ping -c 2 -W 1 192.0.2.1 || true`)
}
const isFiltered = async (macAddress: string): Promise<boolean> => {
  const xml = await virsh('dumpxml', domain)
  const start = xml.indexOf(`<mac address='${macAddress}'/>`)
  return xml.slice(start, xml.indexOf('</interface>', start)).includes('filterref')
}

describe('while it runs', () => {
  test('one that is added is there at once, in the guest and in the definition', async () => {
    await declare(main, side('lan'))
    sideMAC = await until(
      'it is told',
      async () => (await seen()).find(({ name, state }) => name === 'side' && state === 'Attached')?.macAddress,
      patience,
    )
    await expectInterfaces({ [mainMAC]: 'default', [sideMAC]: 'default' })
    await until('the guest sees it', () => nameInGuest(sideMAC), patience)
    await expectSameRun()
    expect((await status())?.pendingChanges).toBeUndefined()
    await lab.running('net')
    const events = await lab.events('VirtualMachine', 'net')
    expect(events.filter(({ reason }) => reason === 'InterfaceAttached')).toHaveLength(1)
  })

  test('one that is moved is on the other network, and the same to the guest', async () => {
    const before = await nameInGuest(sideMAC)
    await declare(main, side('side'))
    await expectInterfaces({ [mainMAC]: 'default', [sideMAC]: 'side' })
    expect(await nameInGuest(sideMAC)).toBe(before)
    await until('it is told', async () => (await seen())[1]?.network === 'side', patience)
    await expectSameRun()
  })

  test('a frame from another MAC address does not leave it; with antiSpoofing Disabled it does', async () => {
    const device = (await nameInGuest(sideMAC)) ?? ''
    expect(await isFiltered(sideMAC)).toBe(true)
    await callFrom(device, forged)
    // After the forged ones: when these have arrived, those would have too.
    await callFrom(device, sideMAC)
    await until('its own frames arrive', async () => (await heardOnBridge()).includes(sideMAC), patience)
    expect(await heardOnBridge()).not.toContain(forged)

    const disabled = JSON.stringify({ spec: { antiSpoofing: 'Disabled' } })
    await lab.kubectl('patch', 'bnet', 'side', '--type=merge', '-p', disabled)
    await until('the filter is gone', async () => !(await isFiltered(sideMAC)), patience)
    expect(await isFiltered(mainMAC)).toBe(true)
    await callFrom(device, forged)
    await until('forged frames arrive', async () => (await heardOnBridge()).includes(forged), patience)
    await callFrom(device, sideMAC)
    await expectSameRun()
  })

  test('one that is removed is let go by the guest; what somebody else attached stays', async () => {
    await virsh('attach-interface', domain, 'network', 'side', '--mac', foreign, '--live', '--config')
    await declare(main)
    await expectInterfaces({ [mainMAC]: 'default', [foreign]: 'side' })
    expect(await nameInGuest(sideMAC)).toBeUndefined()
    await until('it is not told any more', async () => (await seen()).length === 1, patience)
    await expectSameRun()
    expect((await status())?.pendingChanges).toBeUndefined()
  })
})

test('another MAC address waits for the next start, and is its own there; what somebody else attached stays', async () => {
  const macAddress = '52:54:00:00:aa:01'
  await declare({ ...main, macAddress })
  await until(
    'it is listed',
    async () => (await status())?.pendingChanges?.[0]?.field === 'spec.networkInterfaces[eth0].macAddress',
    patience,
  )
  await expectSameRun()
  await lab.patch('net', { restart: { token: 'mac', mode: 'Cold' } })
  await expectInterfaces({ [macAddress]: 'default', [foreign]: 'side' })
  await until('nothing is pending', async () => (await status())?.pendingChanges === undefined, patience)
})
