import {
  addressLeases,
  clusterImages,
  hypervisors,
  slots,
  storagePools,
  virtualMachines,
} from '../../../controller/api/index.ts'
import type { StopReason } from '../../../controller/hypervisor/port.ts'
import { conditionIs } from '../../../controller/reconcilers/shared/conditions.ts'
import { aHypervisor, aMachine, aNetwork, anImage, aPool } from '../world/objects.ts'
import type { World } from '../world/world.ts'
import {
  addHost,
  always,
  change,
  free,
  furnish,
  furnished,
  gone,
  hasRestarted,
  isIn,
  isOff,
  isReady,
  machine,
  onHost,
  removeMachine,
  runs,
  type Step,
  setPower,
  type Workload,
} from './workload.ts'

const create =
  (name: string, spec: object = {}) =>
  (world: World) =>
    world.create(aMachine(name, spec))
const begin = (name: string, spec: object = {}): Step => ({
  what: 'the beginning',
  until: always,
  act: create(name, spec),
})
const running = (name: string, act?: Step['act']): Step => ({
  what: `${name} runs`,
  until: runs(name),
  ...(act ? { act } : {}),
})
const off = (name: string, act?: Step['act']): Step => ({
  what: `${name} is off`,
  until: isOff(name),
  ...(act ? { act } : {}),
})
const removed = (name: string, act?: Step['act']): Step => ({
  what: `${name} is gone`,
  until: (world) => gone(world, virtualMachines, name),
  ...(act ? { act } : {}),
})
/** All slots can be claimed again. */
const freed = (count: number): Step => ({
  what: `${count} slots are free`,
  until: (world) => free(world).length === count,
})

/** Its guest goes off by itself, and the host tells so. */
const goOff = (name: string, why: StopReason) => (world: World) => {
  const found = onHost(world, name)
  found?.host.turnOff(found.id, why)
  if (found) world.hosts.tell(found.hostName, found.id, 'stopped')
}

const oneAddress = {
  ipv4: {
    method: 'FromRanges',
    subnet: '192.0.2.0/24',
    gateway: '192.0.2.1',
    ranges: [{ first: '192.0.2.10', last: '192.0.2.10' }],
  },
}

const oneHost = (count: number) => ({ furnish: furnish({ kvm1: count }), furnished: furnished(count) })

const data = { name: 'data', size: '4Gi' }
const logs = { name: 'logs', size: '2Gi' }
const diskOf = (world: World, disk: string) =>
  machine(world, 'web')?.status?.disks?.find(({ name, state }) => name === disk && state === 'Ready')
/** These disks, and no others, are made, part of the machine as it runs and of its definition. */
const hasDisks =
  (name: string, ...disks: readonly string[]) =>
  (world: World) => {
    const found = onHost(world, name)
    const defined = found?.spec.disks.map((disk) => disk.name)
    const live = found?.live?.map((disk) => disk.name) ?? defined
    const told = machine(world, name)?.status?.disks?.flatMap((disk) => (disk.state === 'Ready' ? disk.name : []))
    const all = machine(world, name)?.status?.disks?.length === disks.length
    return all && [defined, live, told].every((list) => list?.toSorted().join() === disks.toSorted().join())
  }

/** Beside its first, web has another interface. */
const declareSide = (network: string) =>
  change('web', {
    networkInterfaces: [
      { name: 'eth0', network: 'lan' },
      { name: 'side', network },
    ],
  })

/** Now and from its next start on, on these networks of the host; and so it is told. */
const hasInterfaces =
  (...networks: string[]) =>
  (world: World) => {
    const found = onHost(world, 'web')
    const defined = found?.spec.interfaces.flatMap(({ attachment }) => Object.values(attachment))
    const now = (found?.interfaces ?? found?.spec.interfaces ?? []).map(({ attachment }) => attachment)
    const told = machine(world, 'web')?.status?.networkInterfaces
    return (
      defined?.join() === networks.join() &&
      now.flatMap((attachment) => Object.values(attachment ?? {})).join() === networks.join() &&
      told?.length === networks.length &&
      runs('web')(world)
    )
  }

/** Worlds in which the stop was taken back. */
const revoked = new WeakSet<World>()

export const workloads: readonly Workload[] = [
  {
    name: 'create',
    title: 'a machine is created',
    ...oneHost(1),
    steps: [begin('web'), running('web')],
    modes: ['twice', 'leaders'],
  },
  {
    name: 'delete',
    title: 'a machine that runs is deleted',
    ...oneHost(1),
    modes: ['twice', 'leaders'],
    steps: [begin('web'), running('web', removeMachine('web')), removed('web'), freed(1)],
  },
  {
    name: 'stop',
    title: 'a machine is stopped, and started again',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', setPower('web', 'Stopped')),
      off('web', setPower('web', 'Running')),
      running('web'),
    ],
  },
  {
    name: 'restart',
    title: 'a machine is restarted, and restarted again',
    ...oneHost(1),
    modes: ['twice', 'leaders'],
    steps: [
      begin('web'),
      running('web', change('web', { restart: { token: 'one', mode: 'Warm' } })),
      {
        what: 'web has restarted',
        until: hasRestarted('web', 'one'),
        act: change('web', { shutdownMode: 'Hard', restart: { token: 'two', mode: 'Cold' } }),
      },
      { what: 'web has restarted again', until: hasRestarted('web', 'two') },
    ],
  },
  {
    name: 'suspend',
    title: 'a machine is suspended, goes on, is suspended again and stopped',
    ...oneHost(1),
    modes: ['twice'],
    steps: [
      begin('web'),
      running('web', setPower('web', 'Suspended')),
      { what: 'web is suspended', until: isIn('web', 'Suspended'), act: setPower('web', 'Running') },
      running('web', setPower('web', 'Suspended')),
      { what: 'web is suspended again', until: isIn('web', 'Suspended'), act: setPower('web', 'Stopped') },
      off('web'),
    ],
  },
  {
    name: 'suspended-deleted',
    title: 'a machine that is suspended is deleted',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', setPower('web', 'Suspended')),
      { what: 'web is suspended', until: isIn('web', 'Suspended'), act: removeMachine('web') },
      removed('web'),
      freed(1),
    ],
  },
  {
    name: 'pause',
    title: 'a machine is made paused, goes on, and is paused again',
    ...oneHost(1),
    steps: [
      begin('web', { powerState: 'Paused' }),
      { what: 'web is paused', until: isIn('web', 'Paused'), act: setPower('web', 'Running') },
      running('web', setPower('web', 'Paused')),
      { what: 'web is paused again', until: isIn('web', 'Paused') },
    ],
  },
  {
    name: 'guest-crashes',
    title: 'a guest crashes, and is started again; it crashes once more, and stays off',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', goOff('web', 'Crash')),
      { what: 'its crash is told', until: (world) => machine(world, 'web')?.status?.lastStop?.by === 'Crash' },
      running('web', (world) => {
        change('web', { onCrash: 'Stop' })(world)
        goOff('web', 'Crash')(world)
      }),
      { what: 'the slot is free', until: (world) => free(world).length === 1 },
      { what: 'that is told', until: (world) => reason(world, 'web') === 'GuestCrashed' },
    ],
  },
  {
    name: 'resize',
    title: 'a machine is given less memory at once, and less room for it by a restart',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', change('web', { size: undefined, resources: { cpus: 1, memory: '512Mi', maxMemory: '512Mi' } })),
      {
        what: 'the memory is given, the room is listed',
        until: (world) => {
          const { size, pendingChanges } = machine(world, 'web')?.status ?? {}
          return size?.memory === '512Mi' && pendingChanges?.length === 1
        },
        act: change('web', { restart: { token: 'one', mode: 'Cold' } }),
      },
      {
        what: 'it is applied',
        until: (world) =>
          hasRestarted('web', 'one')(world) && machine(world, 'web')?.status?.pendingChanges === undefined,
      },
    ],
  },
  {
    name: 'resize-running',
    title: 'a machine that has room to grow is given more memory while it runs, and less again',
    ...oneHost(1),
    steps: [
      begin('web', { size: undefined, resources: { cpus: 1, memory: '512Mi', maxMemory: '1Gi' } }),
      running('web', change('web', { resources: { cpus: 1, memory: '1Gi', maxMemory: '1Gi' } })),
      {
        what: 'it has more',
        until: (world) => machine(world, 'web')?.status?.size?.memory === '1Gi',
        act: change('web', { resources: { cpus: 1, memory: '768Mi', maxMemory: '1Gi' } }),
      },
      {
        what: 'it has less',
        until: (world) => machine(world, 'web')?.status?.size?.memory === '768Mi',
      },
    ],
  },
  {
    name: 'interface-added',
    title: 'a machine that runs gets an interface, which is then moved to another network and removed',
    ...oneHost(1),
    furnish: (world) => {
      furnish({ kvm1: 1 })(world)
      for (const { host } of world.hosts.all()) host.networks.add('other')
      world.create(aNetwork('dmz', 'other'))
    },
    modes: ['twice', 'leaders'],
    steps: [
      begin('web', { networkInterfaces: [{ name: 'eth0', network: 'lan' }] }),
      running('web', declareSide('lan')),
      { what: 'it has two', until: hasInterfaces('default', 'default'), act: declareSide('dmz') },
      {
        what: 'one has moved',
        until: hasInterfaces('default', 'other'),
        act: change('web', { networkInterfaces: [{ name: 'eth0', network: 'lan' }] }),
      },
      { what: 'it is gone', until: hasInterfaces('default') },
    ],
  },
  {
    name: 'create-stopped',
    title: 'a machine is declared stopped, and started later',
    ...oneHost(1),
    steps: [
      begin('web', { powerState: 'Stopped' }),
      {
        what: 'web is Ready',
        until: (world) => isReady(machine(world, 'web') ?? { metadata: {} }),
        act: setPower('web', 'Running'),
      },
      running('web'),
    ],
  },
  {
    name: 'image-for-two',
    title: 'two machines wait for one image on one pool',
    ...oneHost(2),
    steps: [
      {
        what: 'the beginning',
        until: always,
        act: (world) => {
          create('web')(world)
          create('db')(world)
        },
      },
      running('web'),
      running('db'),
    ],
  },
  {
    name: 'slot-handed-over',
    title: 'a machine waits for the slot of another, which is stopped',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', create('db')),
      {
        what: 'db waits',
        until: (world) => reason(world, 'db') === 'WaitingForSlot',
        act: setPower('web', 'Stopped'),
      },
      running('db'),
      off('web'),
    ],
  },
  {
    name: 'slot-of-the-deleted',
    title: 'a machine waits for the slot of another, which is deleted',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', create('db')),
      { what: 'db waits', until: (world) => reason(world, 'db') === 'WaitingForSlot', act: removeMachine('web') },
      running('db'),
      removed('web'),
    ],
  },
  {
    name: 'hypervisor-comes-and-goes',
    title: 'a hypervisor is added with its pool, takes a machine, and is removed with everything on it',
    furnish: (world) => {
      furnish({})(world)
      addHost(world, 'kvm1')
    },
    furnished: furnished(0),
    steps: [
      {
        what: 'the beginning',
        until: always,
        act: (world) =>
          world.create(aHypervisor('kvm1', 2), aPool('disks', 'kvm1', { poolName: 'disks', path: '/disks' })),
      },
      { what: 'the pool is ready', until: (world) => world.api.list(storagePools).every(isReady), act: create('web') },
      running('web', removeMachine('web')),
      removed('web', (world) => {
        world.api.delete('storagepools', { name: 'disks' })
        world.api.delete('hypervisors', { name: 'kvm1' })
      }),
      {
        what: 'hypervisor, pool and slots are gone',
        until: (world) =>
          gone(world, hypervisors, 'kvm1') && gone(world, storagePools, 'disks') && world.api.list(slots).length === 0,
      },
    ],
  },
  {
    name: 'slots-shrink',
    title: 'a hypervisor is given more slots, then fewer than are held',
    ...oneHost(1),
    steps: [
      { ...begin('web'), act: create('web') },
      running('web', setSlots('kvm1', 3)),
      { what: 'two more are free', until: (world) => free(world).length === 2, act: setSlots('kvm1', 0) },
      {
        what: 'the free ones are gone',
        until: (world) => world.api.list(slots).length === 1,
        act: removeMachine('web'),
      },
      { what: 'all are gone', until: (world) => world.api.list(slots).length === 0 },
      removed('web'),
    ],
  },
  {
    name: 'stopped-in-mid-work',
    title: 'a machine is stopped while it is being built, and started again',
    ...oneHost(1),
    steps: [
      begin('web'),
      { what: 'web is defined', until: (world) => onHost(world, 'web') !== undefined, act: setPower('web', 'Stopped') },
      off('web', setPower('web', 'Running')),
      running('web'),
    ],
  },
  {
    name: 'deleted-in-mid-work',
    title: 'a machine is deleted while its image is on its way to the pool, and the image after it',
    ...oneHost(1),
    steps: [
      begin('web'),
      { what: 'the image is on its way', until: (world) => imagesOn(world, 'kvm1') > 0, act: removeMachine('web') },
      removed('web', (world) => world.api.delete('clusterimages', { name: 'debian' })),
      // Whole or half: nothing of it stays.
      { what: 'the image is gone from the pool', until: (world) => imagesOn(world, 'kvm1') === 0 },
      { what: 'the image is gone', until: (world) => gone(world, clusterImages, 'debian') },
      freed(1),
    ],
  },
  {
    name: 'deleted-and-made-anew',
    title: 'a machine is deleted and made anew under its name',
    ...oneHost(1),
    steps: [begin('web'), running('web', removeMachine('web')), removed('web', create('web')), running('web')],
  },
  {
    name: 'guest-shuts-down',
    title: 'a guest shuts itself down, which frees its slot; later it is started again',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', goOff('web', 'Guest')),
      { what: 'the slot is free', until: (world) => free(world).length === 1, act: setPower('web', 'Stopped') },
      { what: 'web is off', until: isOff('web'), act: setPower('web', 'Running') },
      running('web'),
    ],
  },
  {
    name: 'host-reboots',
    title: 'a machine goes off with its host, and is started again',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', goOff('web', 'Unknown')),
      { what: 'web runs on its host', until: (world) => onHost(world, 'web')?.power === 'Running' },
      running('web'),
    ],
  },
  {
    name: 'disk-retained',
    title: 'a machine whose disk is to be kept is deleted',
    ...oneHost(1),
    steps: [
      begin('web', { disks: [{ name: 'root', deletionPolicy: 'Retain' }] }),
      running('web', removeMachine('web')),
      removed('web'),
      freed(1),
    ],
  },
  {
    name: 'disk-added',
    title: 'a machine that runs is given two disks, one of them a copy of an image that is not placed yet',
    ...oneHost(1),
    modes: ['leaders'],
    steps: [
      begin('web'),
      running('web', (world) => {
        world.create(anImage('tools'))
        change('web', { disks: [data, { name: 'tools', source: { image: { name: 'tools' } } }] })(world)
      }),
      { what: 'it has them', until: hasDisks('web', 'root', 'data', 'tools') },
      running('web'),
    ],
  },
  {
    name: 'disk-removed',
    title: 'two disks are taken from a machine that runs, one of them to be kept',
    ...oneHost(1),
    modes: ['leaders'],
    steps: [
      begin('web', { disks: [data, { ...logs, deletionPolicy: 'Retain' }] }),
      running('web', change('web', { disks: [] })),
      { what: 'they are gone', until: hasDisks('web', 'root') },
      running('web'),
    ],
  },
  {
    name: 'disk-grown',
    title: 'a disk and the root are made larger while the machine runs',
    ...oneHost(1),
    steps: [
      begin('web', { disks: [data] }),
      running(
        'web',
        change('web', {
          disks: [
            { name: 'root', size: '8Gi' },
            { ...data, size: '9Gi' },
          ],
        }),
      ),
      {
        what: 'they are larger',
        until: (world) => diskOf(world, 'root')?.size === '8Gi' && diskOf(world, 'data')?.size === '9Gi',
      },
      running('web'),
    ],
  },
  {
    name: 'disk-added-again',
    title: 'a disk is removed, and added again under its name once it is gone; then one that was kept',
    ...oneHost(1),
    modes: ['twice', 'leaders'],
    steps: [
      begin('web', { disks: [data] }),
      running('web', change('web', { disks: [] })),
      {
        what: 'it is gone',
        until: hasDisks('web', 'root'),
        act: change('web', { disks: [{ ...data, deletionPolicy: 'Retain' }] }),
      },
      { what: 'it is there again', until: hasDisks('web', 'root', 'data') },
      running('web', change('web', { disks: [] })),
      { what: 'it is kept', until: hasDisks('web', 'root'), act: change('web', { disks: [data] }) },
      { what: 'it is taken back', until: hasDisks('web', 'root', 'data') },
      running('web'),
    ],
  },
  {
    name: 'disks-while-off',
    title: 'the disks of a machine that is stopped are exchanged; it is started, and deleted',
    ...oneHost(1),
    steps: [
      begin('web', { disks: [data] }),
      running('web', setPower('web', 'Stopped')),
      off('web', change('web', { disks: [logs] })),
      {
        what: 'the first is gone',
        until: (world) => diskOf(world, 'data') === undefined,
        act: setPower('web', 'Running'),
      },
      { what: 'it has the other', until: hasDisks('web', 'root', 'logs') },
      running('web', removeMachine('web')),
      removed('web'),
      freed(1),
    ],
  },
  {
    name: 'deleted-retained',
    title: 'a machine that is to stay on its host is deleted; later its guest goes off, and its slot serves another',
    ...oneHost(1),
    modes: ['twice', 'leaders'],
    steps: [
      begin('web', { deletionPolicy: 'Retain' }),
      running('web', removeMachine('web')),
      removed('web'),
      {
        what: 'its slot is occupied',
        until: (world) => world.api.list(slots).some((slot) => conditionIs(slot, 'Occupied', 'True')),
        act: (world) => {
          for (const { name, host } of world.hosts.all()) {
            for (const id of host.machines.keys()) {
              host.turnOff(id, 'Guest')
              world.hosts.tell(name, id, 'stopped')
            }
          }
        },
      },
      { what: '1 slots are free', until: (world) => free(world).length === 1, act: create('next') },
      running('next'),
    ],
  },
  {
    name: 'drift-reported',
    title: 'a machine whose drift is reported is cut off on its host, and left; a restart token starts it',
    ...oneHost(1),
    steps: [
      begin('web', { managementPolicy: 'ReportDrift' }),
      running('web', goOff('web', 'Outside')),
      {
        what: 'its drift is told',
        until: (world) => reason(world, 'web') === 'Drifted',
        act: change('web', { restart: { token: 'go', mode: 'Warm' } }),
      },
      { what: 'web has restarted', until: hasRestarted('web', 'go') },
    ],
  },
  {
    name: 'image-deleted',
    title: 'an image is deleted after the last machine made from it',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', removeMachine('web')),
      removed('web', (world) => world.api.delete('clusterimages', { name: 'debian' })),
      { what: 'it is gone from the pool', until: (world) => imagesOn(world, 'kvm1') === 0 },
      { what: 'it is gone', until: (world) => gone(world, clusterImages, 'debian') },
    ],
  },
  {
    name: 'two-hosts',
    title: 'four machines on two hosts, each on a slot that it names; all are stopped',
    furnish: furnish({ kvm1: 2, kvm2: 2 }),
    furnished: furnished(4),
    steps: [
      {
        what: 'the beginning',
        until: always,
        act: (world) => {
          // Any of them on any slot would do, and the order of a recovery decides: named, runs can be compared.
          create('a', { placement: { slot: 'kvm1-small-0' } })(world)
          create('b', { placement: { slot: 'kvm1-small-1' } })(world)
          create('c', { placement: { slot: 'kvm2-small-0' } })(world)
          create('d', { placement: { slot: 'kvm2-small-1' } })(world)
        },
      },
      ...['a', 'b', 'c', 'd'].map((name) => running(name)),
      {
        what: 'all run',
        until: always,
        act: (world) => {
          for (const name of ['a', 'b', 'c', 'd']) setPower(name, 'Stopped')(world)
        },
      },
      ...['a', 'b', 'c', 'd'].map((name) => off(name)),
    ],
  },
  {
    name: 'stop-revoked',
    title: 'a stop is taken back before the watches have told of it',
    ...oneHost(1),
    watchLag: 5_000,
    steps: [
      begin('web'),
      running('web', (world) => {
        setPower('web', 'Stopped')(world)
        // Before a process that died could be back: it would rightly stop what is to be stopped.
        world.clock.after(500, () => {
          setPower('web', 'Running')(world)
          revoked.add(world)
        })
      }),
      { what: 'the stop is taken back', until: (world) => revoked.has(world) },
      running('web'),
    ],
  },
  {
    name: 'address-leased',
    title: 'two machines want the one address that a network has: the second gets it when the first is deleted',
    furnish: furnish({ kvm1: 2 }, oneAddress),
    furnished: furnished(2),
    modes: ['twice', 'leaders'],
    steps: [
      begin('web'),
      running('web', create('other')),
      {
        what: 'other is told that no address is left',
        until: (world) => reason(world, 'other') === 'RangesFull',
        act: removeMachine('web'),
      },
      removed('web'),
      running('other', removeMachine('other')),
      removed('other'),
      freed(2),
      { what: 'no lease is left', until: (world) => world.api.list(addressLeases).length === 0 },
    ],
  },
  {
    name: 'watch-expires',
    title: 'a machine is deleted while the API server is away and its history is compacted',
    ...oneHost(1),
    steps: [
      begin('web'),
      running('web', (world) => {
        world.api.outage(5_000)
        removeMachine('web')(world)
        world.api.compact()
      }),
      removed('web'),
      freed(1),
    ],
  },
]

const reason = (world: World, name: string) =>
  machine(world, name)?.status?.conditions?.find(({ type }) => type === 'Ready')?.reason

const imagesOn = (world: World, host: string): number =>
  [...world.hosts.get(host).pools.values()].reduce((sum, { images }) => sum + images.size, 0)

function setSlots(name: string, count: number) {
  return (world: World) =>
    world.api.edit(hypervisors, { name }, (hypervisor) => {
      Object.assign(hypervisor.spec, { slots: [{ name: 'small', count, size: 'small' }] })
    })
}
