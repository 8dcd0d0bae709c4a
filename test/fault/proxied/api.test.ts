/**
 * A lying and failing way to the API server (design §6; issue of the engine, item 4): whatever it does, a machine is made
 * once and removed once, by exactly the host's calls of a run without faults, and then nothing is written.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { VirtualMachine } from '../../../controller/api/index.ts'
import { Random } from '../../../controller/drivers/fake/random.ts'
import { until } from '../../../hack/lab/wait.ts'
import { namespace, patience } from '../../e2e/lab.ts'
import { changesObjects, type Fault, type SeenRequest } from '../../support/api-proxy.ts'
import { hostProxy, type Proxied, ProxiedLab } from './lab.ts'

let lab: ProxiedLab
let controller: Proxied
/** The changes of the host that one machine's life is, without faults. */
let reference: string[]

const host = () => hostProxy(controller)

beforeAll(async () => {
  lab = await ProxiedLab.start()
  controller = await lab.startController('a')
  await lab.lab.condition('clusterimages', 'blank', 'Ready', 'True')
  // The image is placed with the first machine, and stays.
  await life('first')
  reference = await life('reference')
})
afterAll(() => lab?.stop())
afterEach(() => controller.api.heal())

/** Creates it, sees it run, deletes it, sees it gone. Answers what was done to the host. */
async function life(name: string): Promise<string[]> {
  const before = host().changes.length
  await lab.machine(name)
  await lab.expectOne(name)
  await lab.remove(name)
  return host().changes.slice(before)
}

/** Such a share of the requests that are meant, by chance that is the same in every run. */
function some(share: number, meant: (request: SeenRequest) => boolean, fault: Fault) {
  const random = new Random(20260101)
  let faults = 0
  controller.api.fault = (request) => {
    if (!meant(request) || random.next() >= share) return undefined
    faults++
    return fault
  }
  return () => faults
}

const all = ({ path }: SeenRequest) => !path.includes('/leases')

describe.each<[string, number, (request: SeenRequest) => boolean, Fault]>([
  ['409 for half of the changes', 0.5, changesObjects, { do: 'answer', status: 409 }],
  ['429 with Retry-After for 30 %', 0.3, all, { do: 'answer', status: 429, headers: { 'retry-after': '1' } }],
  ['500 for 30 %', 0.3, all, { do: 'answer', status: 500 }],
  ['503 for 30 %', 0.3, all, { do: 'answer', status: 503 }],
  ['504 for 30 %', 0.3, all, { do: 'answer', status: 504 }],
  ['30 % of the connections cut before the request arrives', 0.3, all, { do: 'cut' }],
  ['half of the changes done, and their answers lost', 0.5, changesObjects, { do: 'commit-then-cut' }],
  ['watches that end in half a line', 0.5, ({ watch }) => watch, { do: 'half-line' }],
  ['410 for half of the watches', 0.5, ({ watch }) => watch, { do: 'answer', status: 410 }],
])('%s', (what, share, meant, fault) => {
  test('one life, by the same changes of the host as without faults', async () => {
    const faults = some(share, meant, fault)
    if (meant({ watch: true, method: 'GET', path: '', body: '' })) {
      // Watches that are open are not asked for again: let them be.
      await endWatches()
    }
    expect(await life(nameOf(what))).toEqual(reference)
    expect(faults()).toBeGreaterThan(0)
  })
})

const nameOf = (what: string) =>
  what
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, 30)
    .replace(/-$/, '')

/** Cuts every watch at its next line, and makes each kind tell one. */
async function endWatches(): Promise<void> {
  const { fault } = controller.api
  controller.api.watchLine = () => {
    throw new Error('cut')
  }
  await lab.lab.kubectl('label', '--overwrite', 'bhv,bslot,bsp,bnet,bsize,bcimg', '--all', `test=${Date.now()}`)
  await until('watches were opened again', () => {
    controller.api.watchLine = (_, line) => [line]
    return true
  })
  controller.api.fault = fault
}

test('an answer that never comes though the change was made: it goes on after its deadline, and does nothing twice', async () => {
  let hung = 0
  controller.api.fault = ({ method, path }) =>
    method === 'PATCH' && path.includes('/slots/') && hung++ === 0 ? { do: 'commit-then-hang' } : undefined
  expect(await life('hangs')).toEqual(reference)
  expect(hung).toBeGreaterThan(0)
})

describe('watches that lie', () => {
  const ofMachines = ({ path }: SeenRequest) => path.includes('/virtualmachines')

  test('every event of machines twice: no further change of the host', async () => {
    controller.api.watchLine = (request, line) => (ofMachines(request) ? [line, line] : [line])
    expect(await life('doubled')).toEqual(reference)
  })

  test('each event of machines is followed by the one before it: what is older is not believed', async () => {
    let previous: string | undefined
    controller.api.watchLine = (request, line) => {
      if (!ofMachines(request)) return [line]
      const lines = previous === undefined ? [line] : [line, previous]
      if (line.includes('"MODIFIED"')) previous = line
      return lines
    }
    expect(await life('backwards')).toEqual(reference)
  })

  test('410 in the middle of a watch: everything is listed again, nothing is done again', async () => {
    const random = new Random(410)
    let broken = 0
    const expired =
      '{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}'
    controller.api.watchLine = (request, line) => {
      if (!ofMachines(request) || random.next() > 0.3) return [line]
      broken++
      return [expired]
    }
    expect(await life('expired')).toEqual(reference)
    expect(broken).toBeGreaterThan(0)
  })

  test('a deletion and a new object under its name that are told late: the new machine is another, the old one is gone, nothing of the new one is destroyed', async () => {
    await lab.machine('twice')
    const old = await lab.expectOne('twice')
    const gate = Promise.withResolvers<void>()
    let waiting = 0
    await lab.lab.kubectl('delete', 'bvm', 'twice', '-n', namespace, '--wait=false')
    controller.api.watchLine = async (request, line) => {
      if (ofMachines(request) && line.includes('"DELETED"')) {
        waiting++
        await gate.promise
      }
      return [line]
    }
    await until('the old object is gone', async () => (await lab.get('twice')) === undefined, patience)
    await lab.machine('twice')
    const uid = (await lab.get('twice'))?.metadata.uid
    await until('the watch lags', () => waiting > 0)
    gate.resolve()
    const renewed = await lab.expectOne('twice')
    expect(renewed.metadata.uid).toBe(uid)
    expect(renewed.metadata.uid).not.toBe(old.metadata.uid)
    const changes = host().changes.length
    await lab.remove('twice')
    expect(
      host()
        .changes.slice(changes)
        .filter((name) => name === 'domain_undefine_flags'),
    ).toHaveLength(1)
  })

  test('stopped and wanted again while the watch shows neither: a guest that is wanted is not stopped', async () => {
    await lab.machine('wanted')
    const before = await lab.expectOne('wanted')
    const gate = Promise.withResolvers<void>()
    let held = 0
    controller.api.watchLine = async (request, line) => {
      if (ofMachines(request)) {
        held++
        await gate.promise
      }
      return [line]
    }
    const changes = host().changes.length
    await lab.patch('wanted', { powerState: 'Stopped' })
    await until('the watch holds it back', () => held > 0)
    await lab.patch('wanted', { powerState: 'Running' })
    // The first is told before the second exists for it: what is cached says Stopped, what is live says Running.
    gate.resolve()
    const generation = (await lab.get('wanted'))?.metadata.generation
    await until(
      'it was looked at again',
      async () => (await lab.get('wanted'))?.status?.observedGeneration === generation,
      patience,
    )
    expect(host().changes.slice(changes)).toEqual([])
    expect((await lab.lab.running('wanted')).status?.startTime).toBe(before.status?.startTime)
    await lab.remove('wanted')
  })
})

test('quiet: with everything as declared nothing is written', async () => {
  await lab.machine('quiet')
  const vm = await lab.expectOne('quiet')
  const writes = () => controller.api.requests.filter(changesObjects).length
  let [last, since] = [writes(), performance.now()]
  await until(
    'no write for ten seconds',
    () => {
      if (writes() !== last) [last, since] = [writes(), performance.now()]
      return performance.now() - since > 10_000
    },
    { timeout: 60_000 },
  )
  expect((await lab.get('quiet')) as VirtualMachine).toMatchObject({ metadata: { uid: vm.metadata.uid } })
})
