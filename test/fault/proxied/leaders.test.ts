/**
 * Two controllers (design, invariant 4): whatever became of the leader, once another leads, it changes nothing more,
 * neither in Kubernetes nor on a host; and what it had begun is finished once.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'
import { until } from '../../../hack/lab/wait.ts'
import { patience } from '../../e2e/lab.ts'
import { changesObjects } from '../../support/api-proxy.ts'
import type { HeldMessage, LibvirtProxy } from '../../support/libvirt-proxy.ts'
import { type Proxied, ProxiedLab } from './lab.ts'

/** Seconds. Half of it, and what may have passed since the last renewal, is well before the leader gives up. */
const leaseDuration = 4
const times = [`--lease-duration=${leaseDuration}s`, '--renew-deadline=3400ms', '--retry-period=400ms']

let lab: ProxiedLab
let leader: Proxied
let standby: Proxied
let started = 0
let machines = 0

const start = () => lab.startController(`leader-${++started}`, ...times)
const host = ({ hosts }: Proxied): LibvirtProxy => {
  const [first] = hosts
  if (!first) throw new Error('no host')
  return first
}
/** What it changed so far, in Kubernetes and on the host. */
const changesOf = (one: Proxied) => ({
  objects: one.api.requests.filter(changesObjects).length,
  host: host(one).changes.length,
})

beforeAll(async () => {
  lab = await ProxiedLab.start({ slots: 2 })
  leader = await start()
  await lab.lab.condition('clusterimages', 'blank', 'Ready', 'True')
  await lab.machine('first')
  await lab.expectOne('first')
  standby = await start()
  await isReady(standby)
})
afterAll(() => lab?.stop())

/** The leader of the next test is the one that leads now, and it has a standby. */
afterEach(async () => {
  const [survivor] = (
    await Promise.all([leader, standby].map(async (one) => ((await hasEnded(one)) ? [] : [one])))
  ).flat()
  if (!survivor || survivor === leader) return
  leader = survivor
  standby = await start()
  await isReady(standby)
})

const hasEnded = ({ process }: Proxied) => Promise.race([process.ended.then(() => true), sleep(0, false)])

/** It asks for the lease. */
const isReady = ({ api }: Proxied) =>
  until('the standby looks at the lease', () => api.requests.some(({ path }) => path.includes('/leases')), patience)

/** A pass of the leader that is in the middle: the host has made the disk, and its answer is held back. */
async function inTheMiddle(): Promise<{ name: string; answer: HeldMessage }> {
  const name = `machine-${++machines}`
  const held = host(leader).held.length
  let caught = false
  host(leader).treat = ({ from, type, procedure }) => {
    if (caught || from !== 'server' || type !== 'reply' || procedure !== 'storage_vol_create_xml') return 'pass'
    caught = true
    return 'hold'
  }
  await lab.machine(name)
  const answer = await until('the answer is held back', () => host(leader).held[held], patience)
  return { name, answer }
}

/** Runs, and goes again; `by` alone works on it. */
async function finishedBy(by: Proxied, name: string): Promise<void> {
  await lab.expectOne(name)
  expect(host(by).changes).toContain('domain_create_with_flags')
  await lab.remove(name)
}

/** The other took over: what the old leader did until then is all that it ever did. */
async function expectDeposed(before: ReturnType<typeof changesOf>, name: string): Promise<void> {
  await finishedBy(standby, name)
  await leader.process.ended
  expect(changesOf(leader)).toEqual(before)
}

test('stopped for half a lease: it goes on, and the other one never led', async () => {
  const { name, answer } = await inTheMiddle()
  process.kill(leader.process.pid, 'SIGSTOP')
  await sleep((leaseDuration / 2) * 1000)
  process.kill(leader.process.pid, 'SIGCONT')
  answer.release()
  await finishedBy(leader, name)
  expect(changesOf(standby)).toEqual({ objects: 0, host: 0 })
})

test.each([1, 2, 10])('stopped for %d lease times: it changes nothing afterwards', async (factor) => {
  const { name, answer } = await inTheMiddle()
  process.kill(leader.process.pid, 'SIGSTOP')
  const before = changesOf(leader)
  await sleep(factor * leaseDuration * 1000)
  await until('the other one leads', () => changesOf(standby).objects > 0, patience)
  process.kill(leader.process.pid, 'SIGCONT')
  answer.release()
  await expectDeposed(before, name)
})

test('the lease alone is cut off: it stops before the other one begins', async () => {
  const { name, answer } = await inTheMiddle()
  let before: ReturnType<typeof changesOf> | undefined
  standby.api.fault = (request) => {
    if (changesObjects(request)) before ??= changesOf(leader)
    return undefined
  }
  // Or it would have finished the machine before it loses the lease, and left nothing to do.
  host(leader).fallSilent()
  leader.api.fault = ({ path }) => (path.includes('/leases') ? { do: 'hang' } : undefined)
  await until('the other one leads', () => before !== undefined, patience)
  answer.release()
  standby.api.heal()
  if (before) await expectDeposed(before, name)
})

test('its event loop is blocked for two lease times: it changes nothing afterwards', async () => {
  const { name, answer } = await inTheMiddle()
  const before = changesOf(leader)
  const blocked = block(leader, 2 * leaseDuration * 1000)
  await until('the other one leads', () => changesOf(standby).objects > 0, patience)
  answer.release()
  await blocked
  await expectDeposed(before, name)
})

/** Keeps its event loop busy for so many ms, by the debugger. Resolves when that is over, or the process ended. */
async function block({ process }: Proxied, milliseconds: number): Promise<void> {
  const [url] = /ws:\/\/127\.0\.0\.1:\d+\/[-0-9a-f]+/.exec(readFileSync(process.log, 'utf8')) ?? []
  if (url === undefined) throw new Error('no debugger')
  const socket = new WebSocket(url)
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', () => reject(new Error('the debugger does not answer')))
  })
  const expression = `{ const end = performance.now() + ${milliseconds}; while (performance.now() < end); }`
  const over = new Promise<void>((resolve) => {
    for (const event of ['message', 'close', 'error']) socket.addEventListener(event, () => resolve())
  })
  socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }))
  await over
  socket.close()
}
