/** Documentation is true today: what can be compared with the code is. */
import { existsSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { errorTable } from '../../controller/errors/index.ts'
import { HypervisorMetrics } from '../../controller/hypervisor/metrics.ts'
import { eventOfExpiry } from '../../controller/reconcilers/virtual-machine/expiry.ts'
import { eventOfStep } from '../../controller/reconcilers/virtual-machine/history.ts'
import type { Step } from '../../controller/reconcilers/virtual-machine/model.ts'
import type { View } from '../../controller/reconcilers/virtual-machine/view.ts'
import { Metrics } from '../../controller/runtime/metrics.ts'
import { errorsPage, errorsPagePath } from '../generate/errors-page.ts'
import { root } from '../setup/directories.mjs'
import { anchors, markdownFiles, read, relativeLinks, tableRows } from './markdown.ts'

const files = markdownFiles()

describe('reading Markdown', () => {
  test('links are found, but not in code, and not those that lead elsewhere', () => {
    const text = 'a [b](c.md#d) [e](https://example.org) `[f](g.md)`\n\n```\n[h](i.md)\n```\n\n[j](#k)\n'
    expect(relativeLinks(text)).toEqual(['c.md#d', '#k'])
  })

  test('headings are linked to by their words', () => {
    const text = '# Set-up, at *last*!\n```\n# a comment\n```\n## `kubectl` and_more\n'
    expect(anchors(text)).toEqual(['set-up-at-last', 'kubectl-and_more'])
  })
})

test.each(files)('every link within the checkout leads somewhere: %s', (file) => {
  const broken = relativeLinks(read(file)).filter((link) => {
    const [path = '', fragment] = link.split('#')
    const target = path === '' ? file : normalize(join(dirname(file), path))
    if (target.startsWith('..') || !existsSync(join(root, target))) return true
    if (fragment === undefined || statSync(join(root, target)).isDirectory()) return false
    return !anchors(read(target)).includes(fragment)
  })
  expect(broken).toEqual([])
})

test('every script that a page tells to run exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const unknown = files.flatMap((file) =>
    [...read(file).matchAll(/npm run ([a-z][\w:-]*)/g)]
      .filter(([, name = '']) => !(name in scripts))
      .map(([, name]) => `${file}: npm run ${name}`),
  )
  expect(unknown).toEqual([])
})

test('every page of docs/ is found from its index, and every decision from theirs', () => {
  const links = (index: string) =>
    relativeLinks(read(index)).map((link) => normalize(join(dirname(index), link.split('#')[0] ?? '')))
  const decisions = files.filter((file) => /^docs\/decisions\/\d/.test(file))
  expect(decisions.filter((file) => !links('docs/decisions/README.md').includes(file))).toEqual([])
  const pages = files.filter(
    (file) => file.startsWith('docs/') && !decisions.includes(file) && file !== 'docs/README.md',
  )
  expect(pages.filter((file) => !links('docs/README.md').includes(file))).toEqual([])
})

test('no two decisions have one number, and each says its own', () => {
  const decisions = files.filter((file) => /^docs\/decisions\/\d/.test(file))
  const numbers = decisions.map((file) => Number(/(\d{4})-/.exec(file)?.[1]))
  expect(new Set(numbers).size).toBe(numbers.length)
  expect(decisions.map((file) => Number(/^# (\d+)[.]/.exec(read(file))?.[1]))).toEqual(numbers)
})

describe('docs/errors.md', () => {
  test('is what the error table says: run `npm run generate`', () => {
    expect(read(errorsPagePath)).toBe(errorsPage())
  })

  test('has a heading for each code, to be linked to', () => {
    const headings = anchors(read(errorsPagePath))
    expect(Object.keys(errorTable).filter((code) => !headings.includes(code.toLowerCase()))).toEqual([])
  })
})

test('docs/metrics.md names the metrics that there are, with their labels, and no others', async () => {
  const { registry } = new Metrics()
  new HypervisorMetrics(registry)
  const known = registry.getMetricsAsArray().map((metric) => {
    const { name, labelNames = [] } = metric as unknown as { name: string; labelNames?: readonly string[] }
    return [name, labelNames.join(', ')]
  })
  const documented = tableRows(read('docs/metrics.md'))
    .filter(([name = '']) => /^`\w+`$/.test(name))
    .map(([name = '', , labels]) => [name.replaceAll('`', ''), labels])
  expect(documented.toSorted()).toEqual(known.toSorted())
})

test('docs/events-and-history.md has the action and reason of each step that leaves an Event', () => {
  const view = {
    vm: {
      apiVersion: 'berth.dev/v1alpha1',
      kind: 'VirtualMachine',
      metadata: { name: 'web', namespace: 'x', uid: 'u' },
    },
    desired: { hypervisor: 'kvm1', retainedDisks: ['root'] },
    observed: { hosts: new Map(), disks: [{ name: 'data', retained: true, volume: 'There' }] },
    leases: { interfaces: [], missing: [{ network: 'lan', interface: 'eth0', family: 4 }] },
    resolved: { image: { problem: { code: 'ImageNotFound', message: '' } } },
  } as unknown as View
  const saved = { reachable: true, observation: { machine: { power: 'Suspended' } } }
  const suspended = { ...view, observed: { hosts: new Map([['kvm1', saved]]) } } as unknown as View
  const smaller = { reachable: true, observation: { machine: { power: 'Stopped', cpus: 2, memory: 1 } } }
  const resized = {
    ...view,
    observed: { hosts: new Map([['kvm1', smaller]]), outdated: true },
    size: { cpus: 1, memory: 1 },
  } as unknown as View
  const interfaces = [{ macAddress: '52:54:00:00:00:01', attached: true }]
  const connected = { reachable: true, observation: { machine: { power: 'Running', interfaces } } }
  const attached = { ...view, observed: { hosts: new Map([['kvm1', connected]]) } } as unknown as View
  const named = { slot: 's', hypervisor: 'kvm1', pool: 'p', volume: 'v' }
  // A record, so that a step that is new must be considered here.
  const steps: Record<Exclude<Step['do'], 'Wait'>, Step> = {
    AddFinalizer: { do: 'AddFinalizer' },
    Claim: { do: 'Claim', ...named },
    Record: { do: 'Record', ...named },
    LeaseAddresses: { do: 'LeaseAddresses' },
    CreateDisk: { do: 'CreateDisk' },
    RecordDisks: { do: 'RecordDisks', changes: [{ disk: 'data', to: 'Gone' }] },
    AttachDisk: { do: 'AttachDisk', disk: 'data' },
    DetachDisk: { do: 'DetachDisk', disk: 'data' },
    GrowDisk: { do: 'GrowDisk', disk: 'data' },
    Define: { do: 'Define', ...named },
    Start: { do: 'Start', paused: false },
    Pause: { do: 'Pause' },
    Unpause: { do: 'Unpause' },
    BeginSuspend: { do: 'BeginSuspend' },
    Suspend: { do: 'Suspend' },
    Resize: { do: 'Resize', size: { cpus: 2 } },
    DiscardMemory: { do: 'DiscardMemory' },
    BeginRestart: { do: 'BeginRestart', restart: { token: 't', mode: 'Warm' } },
    ServeRestart: { do: 'ServeRestart' },
    AwaitHost: { do: 'AwaitHost' },
    AwaitRestart: { do: 'AwaitRestart' },
    MarkRunning: { do: 'MarkRunning' },
    MarkStopped: { do: 'MarkStopped', by: 'Guest', stays: true },
    Drain: { do: 'Drain', ...named },
    Park: { do: 'Park' },
    ShutDown: { do: 'ShutDown' },
    PowerOff: { do: 'PowerOff' },
    ClearRecord: { do: 'ClearRecord' },
    Release: { do: 'Release', ...named },
    AttachInterface: { do: 'AttachInterface', name: 'eth1', macAddress: '52:54:00:00:00:01' },
    DetachInterface: { do: 'DetachInterface', name: 'eth1', macAddress: '52:54:00:00:00:01' },
    Undefine: { do: 'Undefine' },
    LetGo: { do: 'LetGo' },
    Expire: { do: 'Expire' },
    DeleteVolume: { do: 'DeleteVolume', ...named },
    RemoveFinalizer: { do: 'RemoveFinalizer' },
    AwaitShutdown: { do: 'AwaitShutdown' },
    AwaitSettled: { do: 'AwaitSettled' },
    Nothing: { do: 'Nothing' },
  }
  const stops = (['Berth', 'Crash', 'Outside', 'Host'] as const).map(
    (by): Step => ({ do: 'MarkStopped', by, stays: false }),
  )
  const events = [
    ...[...Object.values(steps), ...stops].map((step) => eventOfStep(step, view)),
    eventOfStep(steps.Start, suspended),
    eventOfStep(steps.Define, resized),
    eventOfStep({ do: 'CreateDisk', disk: 'data' }, view),
    eventOfStep(steps.AttachInterface, attached),
  ]
  const expiring = { at: '2026-01-01T00:00:00Z', stage: 'WithinADay', message: 'soon' } as const
  const made = [...events, eventOfExpiry(view.vm, expiring)].flatMap((event) =>
    event ? [`\`${event.action}\` \`${event.reason}\``] : [],
  )
  const section = read('docs/events-and-history.md').split('## About a VirtualMachine')[1]?.split('\n## ')[0] ?? ''
  const documented = tableRows(section)
    .filter(([action = '', reason = '']) => /^`\w+`$/.test(action) && /^`\w+`$/.test(reason))
    .map(([action, reason]) => `${action} ${reason}`)
  expect(documented.toSorted()).toEqual([...new Set(made)].toSorted())
})

/** Every requirement of the project, by its stable id. */
const requirements = [
  ...range('K', 5),
  ...['U1.1', 'U1.2', 'U1.3', 'U1.4', 'U1.5', 'U2.1', 'U3.1', 'U4.1', 'U5.1', 'U6.1', 'U7.1', 'U8.1'],
  ...range('O', 10),
  ...range('E', 18),
  ...range('H', 5),
  ...range('T', 4),
]

function range(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${letter}${index + 1}`)
}

test('the README says of each requirement once whether it works, partly, or not yet', () => {
  const [, table = ''] = /<!-- requirements -->([\s\S]*)<!-- end: requirements -->/.exec(read('README.md')) ?? []
  const rows = tableRows(table).slice(1)
  expect(rows.map(([id]) => id)).toEqual(requirements)
  expect(rows.filter(([, , state = '']) => !/^(works|not yet)(;|$)|^partly: /.test(state))).toEqual([])
})
