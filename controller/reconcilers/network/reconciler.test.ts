import { beforeEach, describe, expect, it } from '@jest/globals'
import { type AddressLease, networks } from '../../api/index.ts'
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

describe('its ranges', () => {
  const attachments = [{ hypervisor: '*', libvirtNetwork: 'default' }]
  const withRanges = (name: string, first: string, last: string) =>
    aNetwork(name, {
      attachments,
      ipv4: { method: 'FromRanges', subnet: '192.0.2.0/24', gateway: '192.0.2.1', ranges: [{ first, last }] },
    })
  const give = (address: string) =>
    lab.kube.put({
      apiVersion: 'berth.dev/v1alpha1',
      kind: 'AddressLease',
      metadata: { name: `lan.${address.replaceAll('.', '-')}` },
      spec: {
        network: 'lan',
        address,
        consumerRef: { namespace: 'team', name: 'web', uid: 'u' },
        interface: 'eth0',
      },
    } as AddressLease)

  it('are counted: what can be given, and what of that is given', async () => {
    lab.kube.put(withRanges('lan', '192.0.2.0', '192.0.2.9'))
    give('192.0.2.5')
    // Of a range that was there before.
    give('192.0.2.77')
    await pass()
    expect(network().status?.addresses).toEqual({ total: 8, used: 1 })
  })

  it('that end before they begin are told, and nothing is counted', async () => {
    lab.kube.put(withRanges('lan', '192.0.2.20', '192.0.2.10'))
    await pass()
    expect(readyOf(network())).toBe('False RangesInvalid')
    expect(network().status).not.toHaveProperty('addresses')
  })

  it('that another network has too are told, by both', async () => {
    lab.kube.put(withRanges('lan', '192.0.2.10', '192.0.2.20'))
    lab.kube.put(withRanges('dmz', '192.0.2.20', '192.0.2.30'))
    await pass()
    await lab.pass(reconciler, 'dmz')
    const dmz = lab.kube.peek(networks, { name: 'dmz' })
    expect([readyOf(network()), dmz && readyOf(dmz)]).toEqual(['False RangesOverlap', 'False RangesOverlap'])
  })
})
