/**
 * The crash points once more, a sample of them, with nothing in memory: a process, its SIGKILL, an API server, libvirt
 * (design §6). Every effect of one life is numbered; at each that is in the sample the process is killed, either before
 * the effect or after it and before its answer.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { changesObjects } from '../../support/api-proxy.ts'
import { changesHost } from '../../support/libvirt-proxy.ts'
import { hostProxy, type Proxied, ProxiedLab } from './lab.ts'

const positions = ['before', 'after'] as const
type Position = (typeof positions)[number]

/** Every fourth; all are killed at in memory (`npm run test:fault`), where they cost nothing. */
const sampled = 4

let lab: ProxiedLab
let controller: Proxied

const host = () => hostProxy(controller)

beforeAll(async () => {
  lab = await ProxiedLab.start()
  // A new process waits for the lease of the one that was killed.
  controller = await lab.startController('a', '--lease-duration=4s', '--renew-deadline=3s', '--retry-period=500ms')
  await lab.lab.condition('clusterimages', 'blank', 'Ready', 'True')
  await life('first')
})
afterAll(() => lab?.stop())

/** Creates it, sees it run, deletes it, sees it gone. */
async function life(name: string): Promise<void> {
  await lab.machine(name)
  await lab.expectOne(name)
  await lab.remove(name)
}

/** Effects on the API server and on the host since the last call, as the proxies see them on their way. */
function watchEffects(position?: Position, killAt?: number) {
  const seen: string[] = []
  let restarted: Promise<void> | undefined
  let awaited: string | undefined
  const kill = () => {
    restarted ??= lab.restart(controller, 'a')
  }
  const isDue = () => seen.length === killAt && restarted === undefined
  controller.api.fault = (request) => {
    if (!changesObjects(request)) return undefined
    seen.push(`${request.method} ${request.path.replace(/\?.*/, '').split('/').slice(-3).join('/')}`)
    if (!isDue()) return undefined
    kill()
    return { do: position === 'before' ? 'cut' : 'commit-then-hang' }
  }
  host().treat = (message) => {
    if (message.type === 'reply' && message.procedure === awaited) {
      awaited = undefined
      kill()
      return 'hold'
    }
    if (!changesHost(message)) return 'pass'
    seen.push(message.procedure)
    if (!isDue()) return 'pass'
    if (position === 'after') {
      awaited = message.procedure
      return 'pass'
    }
    kill()
    return 'cut'
  }
  return {
    seen,
    /** Goes through untouched from now on; the new process is there. */
    async end(): Promise<void> {
      controller.api.heal()
      host().heal()
      await restarted
    },
    get killed() {
      return restarted !== undefined
    },
  }
}

test('killed at an effect, the next process ends where a run without faults does, by the same calls of the host', async () => {
  const undisturbed = watchEffects()
  const from = host().changes.length
  await life('reference')
  await undisturbed.end()
  const reference = host().changes.slice(from)
  const count = undisturbed.seen.length
  expect(count).toBeGreaterThan(12)

  const sample = Array.from({ length: count }, (_, index) => index + 1).filter((number) => number % sampled === 0)
  for (const [index, number] of sample.entries()) {
    const position = positions[index % positions.length]
    const before = host().changes.length
    const effects = watchEffects(position, number)
    await life(`at-${number}`)
    await effects.end()
    const what = `${position} effect ${number} of ${undisturbed.seen.join(', ')}`
    expect([what, effects.killed]).toEqual([what, true])
    expect([what, host().changes.slice(before)]).toEqual([what, reference])
  }
}, 600_000)
