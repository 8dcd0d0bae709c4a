import { beforeEach, describe, expect, it } from '@jest/globals'
import { networks } from '../../api/index.ts'
import { BerthError } from '../../errors/index.ts'
import { aHypervisor, aNetwork, Lab, readyOf } from '../testing/lab.ts'
import { NetworkReconciler } from './reconciler.ts'

let lab: Lab
let reconciler: NetworkReconciler

beforeEach(() => {
  lab = new Lab().furnish()
  reconciler = new NetworkReconciler(lab.dependencies)
})

const pass = () => lab.pass(reconciler, 'lan')
const network = () => {
  const found = lab.kube.peek(networks, { name: 'lan' })
  if (!found) throw new Error('gone')
  return found
}

describe('a network', () => {
  it('is told where it is there, and nothing is changed on hosts', async () => {
    await pass()
    expect(network().status?.attachments).toEqual([{ hypervisor: 'kvm1', state: 'Available', antiSpoofing: 'Enabled' }])
    expect(readyOf(network())).toBe('True Available')
    expect(lab.host.calls).toEqual([])
  })

  it('is looked for again sooner where it is missing', async () => {
    lab.host.networks.clear()
    const missing = await pass()
    expect(readyOf(network())).toBe('False Missing')
    lab.host.networks.add('default')
    const there = await pass()
    expect(readyOf(network())).toBe('True Available')
    expect(missing.requeueAfter).toBeLessThan(there.requeueAfter ?? 0)
  })

  it('is what a hypervisor’s own attachment says, before the one for all', async () => {
    const attachments = [
      { hypervisor: '*', libvirtNetwork: 'default' },
      { hypervisor: 'kvm1', bridge: 'br0' },
    ]
    lab.kube.put(aNetwork('lan', { attachments }))
    await pass()
    expect(network().status?.attachments).toEqual([{ hypervisor: 'kvm1', state: 'Missing', antiSpoofing: 'Enabled' }])
    lab.host.networks.add('br0')
    await pass()
    expect(network().status?.attachments).toEqual([{ hypervisor: 'kvm1', state: 'Available', antiSpoofing: 'Enabled' }])
  })

  it.each([
    ['Disabled', ['AntiSpoofing'], 'Disabled'],
    ['Enabled', ['AntiSpoofing'], 'Enabled'],
    [undefined, [], 'NotSupported'],
  ])('tells what is done about spoofed MAC addresses: %s, with %j', async (antiSpoofing, features, told) => {
    const attachments = [{ hypervisor: '*', libvirtNetwork: 'default' }]
    lab.kube.put(aNetwork('lan', { attachments, antiSpoofing }))
    const { information } = lab.host
    lab.host.information = { ...information, capabilities: { ...information.capabilities, features } }
    await pass()
    expect(network().status?.attachments).toMatchObject([{ antiSpoofing: told }])
    const [ready] = network().status?.conditions ?? []
    expect(ready?.message?.includes('not filtered on kvm1')).toBe(told === 'NotSupported')
  })

  it('says nothing of hypervisors that it does not name', async () => {
    lab.kube.put(aHypervisor('kvm2'))
    lab.kube.put(aNetwork('lan', { attachments: [{ hypervisor: 'kvm1', libvirtNetwork: 'default' }] }))
    await pass()
    expect(network().status?.attachments).toHaveLength(1)
  })

  it.each<[string, () => void]>([
    ['that is away', () => lab.disconnect()],
    [
      'that does not answer',
      () => {
        lab.host.before = () => {
          throw new BerthError('CallTimedOut', 'no answer')
        }
      },
    ],
  ])('is not known on a hypervisor %s', async (_, arrange) => {
    arrange()
    await pass()
    expect(network().status?.attachments).toMatchObject([{ hypervisor: 'kvm1', state: 'Unknown' }])
    expect(readyOf(network())).toBe('Unknown NotTried')
  })
})
