/** From kubectl apply to a guest that answers, and away again: K1, U1.1, U1.2, O7, T1, E11, E17. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Image, Slot, VirtualMachine } from '../../controller/api/index.ts'
import { createKey, echo } from '../../hack/lab/guest.ts'
import { until } from '../../hack/lab/wait.ts'
import { inventory, Lab, login, namespace, patience } from './lab.ts'

let lab: Lab
let before: { domains: string[]; volumes: string[] }[]

beforeAll(async () => {
  lab = await Lab.start(2)
  before = await Promise.all(lab.hypervisors.map(inventory))
  lab.startController()
  await lab.declare()
  for (const { name } of lab.hypervisors) await lab.condition('hypervisors', name, 'Ready', 'True')
})
afterAll(() => lab?.stop())

describe('two machines on two hosts', () => {
  let addresses: string[]
  let machines: VirtualMachine[]

  beforeAll(async () => {
    await lab.apply(lab.machine('one'))
    await lab.apply(lab.machine('two', { resources: { cpus: 1, memory: '112Mi' }, size: undefined }))
    addresses = await Promise.all(['one', 'two'].map((name) => lab.address(name)))
    machines = await lab.list<VirtualMachine>('virtualmachines')
  })

  test('U1.1: the agent is told on which slot, hypervisor and host each machine is, in status and Event', async () => {
    const [one, two] = machines
    expect(new Set([one?.status?.hypervisor, two?.status?.hypervisor])).toEqual(new Set(['kvm1', 'kvm2']))
    expect(one?.status?.slot).toBe(`${one?.status?.hypervisor}-tiny-0`)
    expect(one?.status?.host).toBe(one?.status?.hypervisor)
    const events = await until('the Event that tells where it runs', async () => {
      const lines = await lab.events('VirtualMachine', 'one')
      return lines.some(({ reason }) => reason === 'Running') && lines
    })
    const runs = events.find(({ reason }) => reason === 'Running')
    expect(runs?.note).toContain(one?.status?.hypervisor)
    expect(runs?.note).toContain(one?.status?.slot)
    expect(runs?.metadata.annotations?.['berth.dev/actor']).toBe('berth')
    const claimed = events.find(({ action }) => action === 'Claim')
    expect(claimed?.related).toMatchObject({ kind: 'Slot', name: one?.status?.slot })
  })

  test('U1.2: root logs in with the key that was given, and with no other', async () => {
    const [address = ''] = addresses
    const accepted = await login(address, lab.key, 'id -un; hostname')
    expect(accepted.stdout.split('\n').slice(0, 2)).toEqual(['root', 'one'])
    const stranger = `${lab.directory}/stranger`
    await createKey(stranger, 'stranger')
    const refused = await login(address, stranger, 'id -un')
    expect(refused).toMatchObject({ code: 255 })
    expect(refused.stderr).toContain('Permission denied')
  })

  test('O7: CPUs and memory are as asked, by a size and inline', async () => {
    const facts = await Promise.all(
      addresses.map((address) => login(address, lab.key, 'nproc; awk "/MemTotal/{print \\$2}" /proc/meminfo')),
    )
    const [[cpus, memory] = [], [inlineCpus, inlineMemory] = []] = facts.map(({ stdout }) =>
      stdout.split('\n').map(Number),
    )
    expect([cpus, inlineCpus]).toEqual([1, 1])
    // The kernel keeps some for itself: the difference of the two is what was asked for.
    expect(Math.abs(Number(memory) - Number(inlineMemory) - 16 * 1024)).toBeLessThan(2048)
  })

  test('O7: the echo service returns each line with time and server IP, and ends at EXIT', async () => {
    const [address = ''] = addresses
    const lines = await until('the echo service answers', () => echo(address, ['first', 'second line']), patience)
    expect(lines).toEqual([
      expect.stringMatching(`^\\S+Z ${address} first$`),
      expect.stringMatching(`^\\S+Z ${address} second line$`),
    ])
  })

  test('E17: the hypervisor’s own object says whose it is', async () => {
    const [one] = machines
    const host = lab.hypervisors.find(({ name }) => name === one?.status?.hypervisor)
    const { stdout } = (await host?.virsh(['metadata', `${namespace}_one`, 'https://berth.dev/libvirt/v1'])) ?? {
      stdout: '',
    }
    for (const text of [namespace, 'one', one?.metadata.uid ?? '', one?.status?.slot ?? ''])
      expect(stdout).toContain(text)
  })

  test('a third machine waits for a slot and says why, then gets the one that is given back', async () => {
    await lab.apply(lab.machine('three'))
    const waiting = await lab.condition<VirtualMachine>('virtualmachines', 'three', 'Placed', 'False', 'WaitingForSlot')
    expect(waiting.status?.slotRejections).toEqual([{ reason: 'Taken', count: 2, message: expect.any(String) }])
    const since = waiting.metadata.creationTimestamp
    expect(waiting.status?.queue).toEqual({ position: 1, length: 1, since })
    // U1.5: told, and nothing more.
    await lab.apply(lab.machine('refused', { placement: { whenFull: 'Fail' } }))
    await lab.condition('virtualmachines', 'refused', 'Stalled', 'True', 'NoSlotFree')
    await lab.remove('virtualmachines', 'two')
    const three = await lab.running('three')
    expect((await lab.get<VirtualMachine>('virtualmachines', 'refused'))?.status?.slot).toBeUndefined()
    await lab.remove('virtualmachines', 'refused')
    expect(three.status?.slot).toBe(machines.find(({ metadata }) => metadata.name === 'two')?.status?.slot)
    await lab.remove('virtualmachines', 'three')
  })

  test('stopped it is Ready, keeps its disk, and frees its slot; started again it is the same machine', async () => {
    await login(addresses[0] ?? '', lab.key, 'echo kept > /root/kept; sync')
    await lab.patch('one', { powerState: 'Stopped' })
    const stopped = await lab.condition<VirtualMachine>('virtualmachines', 'one', 'Ready', 'True', 'Stopped')
    expect(stopped.status).toMatchObject({ powerState: 'Stopped', hypervisor: machines[0]?.status?.hypervisor })
    expect(stopped.status?.slot).toBeUndefined()
    expect(stopped.status?.primaryAddress).toBeUndefined()
    await until(
      'its slot is free',
      async () => (await lab.get<Slot>('slots', machines[0]?.status?.slot ?? ''))?.status?.phase === 'Free',
      patience,
    )
    // Parked: the host itself refuses to start it without a claim.
    const host = lab.hypervisors.find(({ name }) => name === stopped.status?.hypervisor)
    expect(await host?.virsh(['start', `${namespace}_one`])).not.toMatchObject({ code: 0 })
    await lab.patch('one', { powerState: 'Running' })
    const address = await lab.address('one')
    const { stdout } = await login(address, lab.key, 'cat /root/kept')
    expect(stdout).toBe('kept\n')
    expect((await lab.get<VirtualMachine>('virtualmachines', 'one'))?.status?.hypervisorID).toBe(
      machines[0]?.status?.hypervisorID,
    )
  })

  test('U1.3: a guest that shuts itself down stays off, is Ready, and frees its slot', async () => {
    const address = await lab.address('one')
    await login(address, lab.key, 'poweroff')
    const halted = await lab.condition<VirtualMachine>('virtualmachines', 'one', 'Ready', 'True', 'GuestShutDown')
    expect(halted.status?.lastStop?.by).toBe('Guest')
    await until(
      'all slots are free',
      async () => (await lab.list<Slot>('slots')).every(({ status }) => status?.phase === 'Free'),
      patience,
    )
  })

  test('delete leaves nothing on any host but the image, and that goes with its object', async () => {
    await lab.remove('virtualmachines', 'one')
    const slots = await lab.list<Slot>('slots')
    expect(slots.map(({ status }) => [status?.phase, status?.consumerRef])).toEqual(
      slots.map(() => ['Free', undefined]),
    )
    await lab.remove('clusterimages', 'reference')
    expect(await Promise.all(lab.hypervisors.map(inventory))).toEqual(before)
  })
})

test('the sample machine runs here unchanged, as it does on Xen and on XAPI pools', async () => {
  await lab.runSampleMachine('kvm1')
  expect((await lab.get<VirtualMachine>('virtualmachines', 'web'))?.status?.slot).toBe('kvm1-small-0')
  await lab.remove('virtualmachines', 'web')
  await lab.remove('clusterimages', 'debian-12')
  expect(await Promise.all(lab.hypervisors.map(inventory))).toEqual(before)
})

describe('bootstrap and deletion policy', () => {
  // An image of the namespace's own, and by the other checksum.
  beforeAll(async () => {
    const checksum = `sha512:${createHash('sha512')
      .update(await readFile(lab.reference.path))
      .digest('hex')}`
    const source = { http: { url: `${lab.images.url}/reference.qcow2`, checksum } }
    const metadata = { name: 'own', namespace }
    await lab.apply(JSON.stringify({ apiVersion: 'berth.dev/v1alpha1', kind: 'Image', metadata, spec: { source } }))
  })

  test('a named user gets the key; user data comes from a Secret; a retained disk stays on the host when the machine goes', async () => {
    await lab.kubectl(
      'create',
      'secret',
      'generic',
      'user-data',
      '-n',
      namespace,
      '--from-literal=script=#!/bin/sh\necho ran > /var/lib/berth-ran\n',
    )
    await lab.apply(
      lab.machine('four', {
        image: { kind: 'Image', name: 'own' },
        bootstrap: {
          hostname: 'four.example.org',
          sshUser: 'alice',
          sshAuthorizedKeys: [lab.publicKey],
          cloudInit: { userDataSecretRef: { name: 'user-data', key: 'script' } },
        },
        disks: [{ name: 'root', size: '96Mi', deletionPolicy: 'Retain' }],
      }),
    )
    const address = await lab.address('four')
    const { stdout } = await login(address, lab.key, 'id -un; hostname; cat /var/lib/berth-ran', 'alice')
    expect(stdout.split('\n')).toEqual(['alice', expect.stringMatching(/^four/), 'ran', ''])
    const machine = await lab.get<VirtualMachine>('virtualmachines', 'four')
    const host = lab.hypervisors.find(({ name }) => name === machine?.status?.hypervisor)
    await lab.remove('virtualmachines', 'four')
    const volume = `berth-${machine?.metadata.uid}-root`
    expect(host && (await inventory(host))).toMatchObject({ domains: [], volumes: expect.arrayContaining([volume]) })
    expect(host && (await inventory(host)).volumes).not.toContain(`berth-${machine?.metadata.uid}-seed`)
    // Without its image the disk would be lost: deletion waits, and says for what.
    await lab.kubectl('delete', 'images.berth.dev', 'own', '-n', namespace, '--wait=false')
    const kept = await lab.condition<Image>('images', 'own', 'Ready', 'False', 'InUse')
    expect(kept.status?.conditions?.find(({ type }) => type === 'Ready')?.message).toContain(volume)
    expect(host && (await inventory(host)).volumes).toContain(`berth-img-${kept.status?.digest}`)
  })
})
