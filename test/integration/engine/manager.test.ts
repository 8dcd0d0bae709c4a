/** The whole engine on a real API server: two processes' worth of it, taking turns. */
import { afterEach, expect, test } from '@jest/globals'
import { APIClient, keyOf, LeaderElector, ListWatchInformer, parseKey } from '../../../controller/kube/index.ts'
import {
  Controller,
  LeaderTerm,
  Manager,
  Metrics,
  mergeConditions,
  sameStatus,
  systemClock,
} from '../../../controller/runtime/index.ts'
import { useControlPlane } from '../../support/use-control-plane.ts'
import { connect, eventually, quiet, type VirtualMachine, virtualMachine, virtualMachines } from './support.ts'

const plane = useControlPlane()
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** One process: it writes its name into every machine's status, once. */
async function startEngine(name: string) {
  const { client: unguarded, transport } = await connect(plane.kubeconfig)
  const elector = new LeaderElector({
    client: unguarded,
    clock: systemClock,
    log: quiet,
    namespace: plane.namespace,
    name: 'engine',
    identity: name,
    leaseDuration: 5_000,
    renewDeadline: 3_000,
    retryPeriod: 200,
  })
  const client = new APIClient(transport, elector.guard)
  const informer = new ListWatchInformer<VirtualMachine>({
    transport,
    resource: virtualMachines,
    namespace: plane.namespace,
    clock: systemClock,
    log: quiet,
  })
  const metrics = new Metrics()
  const term = new LeaderTerm(systemClock)
  let writes = 0
  const controller = new Controller({
    reconciler: {
      name: 'machine',
      reconcile: async (key, { signal }) => {
        const machine = informer.get(key)
        if (machine === undefined) return {}
        const facts = [{ type: 'Ready', status: 'True', reason: 'Seen', message: `by ${name}` }] as const
        const conditions = mergeConditions(
          machine.status?.conditions,
          facts,
          machine.metadata.generation ?? 0,
          new Date(systemClock.now()).toISOString(),
        )
        const status = { slot: name, conditions }
        if (sameStatus(status, machine.status)) return {}
        await client.applyStatus(virtualMachines, machine, status, { signal })
        writes++
        return {}
      },
    },
    clock: systemClock,
    log: quiet,
    metrics,
    workers: 4,
  })
  informer.onChange(({ object }) => controller.enqueue(keyOf(object)))
  const manager = new Manager({
    clock: systemClock,
    log: quiet,
    metrics,
    term,
    elector,
    informers: [informer],
    controllers: [controller],
    inheritedUIDs: async () =>
      (await unguarded.list(virtualMachines, { namespace: plane.namespace })).items.map(({ metadata }) => metadata.uid),
  })
  const stop = new AbortController()
  const ended = manager.run(stop.signal).then(
    () => undefined,
    (error: Error) => error,
  )
  cleanups.push(async () => {
    stop.abort()
    await ended
    await transport.close()
  })
  return {
    manager,
    term,
    client: unguarded,
    transport,
    ended,
    stop: () => stop.abort(),
    writes: () => writes,
  }
}

type Engine = Awaited<ReturnType<typeof startEngine>>
const allBy = (engine: Engine, name: string) => async () => {
  const { items } = await engine.client.list(virtualMachines, { namespace: plane.namespace })
  return items.every(({ status }) => status?.slot === name)
}

test('work, quiet, handover by a graceful stop, takeover from one that is cut off', async () => {
  const a = await startEngine('a')
  await eventually(() => a.manager.leading)
  const names = ['one', 'two', 'three']
  const made = await Promise.all(
    names.map((name) => a.client.create(virtualMachines, virtualMachine(plane.namespace, name))),
  )
  await eventually(allBy(a, 'a'))

  // Our own writes come back by the watch, and change nothing more.
  await eventually(() => a.writes() === names.length)
  const b = await startEngine('b')
  await eventually(() => b.manager.notReady() === undefined)
  expect([a.manager.leading, b.manager.leading, b.writes()]).toEqual([true, false, 0])
  expect(a.writes()).toBe(names.length)

  a.stop()
  expect(await a.ended).toBeUndefined()
  const stopped = performance.now()
  await eventually(allBy(b, 'b'))
  expect(performance.now() - stopped).toBeLessThan(4_000)
  expect(made.map(({ metadata }) => b.term.inherited(metadata.uid))).toEqual([true, true, true])
  const late = await b.client.create(virtualMachines, virtualMachine(plane.namespace, 'late'))
  expect(b.term.inherited(late.metadata.uid)).toBe(false)

  const c = await startEngine('c')
  await eventually(() => c.manager.notReady() === undefined)
  await b.transport.close()
  expect(await b.ended).toMatchObject({ code: 'NotLeader' })
  await eventually(allBy(c, 'c'))
  // The status never left True, so neither did its time.
  const one = await c.client.get(virtualMachines, parseKey(`${plane.namespace}/one`))
  const transition = one?.status?.conditions?.[0]?.lastTransitionTime ?? 'none'
  expect(Date.parse(transition)).toBeLessThanOrEqual(Date.parse(late.metadata.creationTimestamp ?? ''))
})
