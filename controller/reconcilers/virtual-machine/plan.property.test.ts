/** The claim protocol, explored: the real planner in a small world where calls are late, answers lost, controllers crash. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { large, small } from './testing/configurations.ts'
import { type Caught, renderDocument, tryShortcut } from './testing/document.ts'
import { explore, walk } from './testing/explore.ts'
import { hasShrunk, readFigures } from './testing/figures.ts'
import { shortcuts } from './testing/shortcuts.ts'
import type { Configuration } from './testing/state.ts'
import { World } from './testing/world.ts'

const figures = readFigures()

describe('every state that can be reached is safe, and every run arrives and falls silent', () => {
  it.each(Object.entries(small))('%s', (name, configuration) => {
    const { finding, states, atRest } = explore(new World(configuration))
    expect(finding).toBeUndefined()
    expect(atRest).toBeGreaterThan(0)
    // A guard that blocks everything is safe too.
    expect(hasShrunk(states, figures.small[name])).toBe(false)
  })

  it('is recorded for each configuration', () => {
    expect(Object.keys(figures.small)).toEqual(Object.keys(small))
    expect(Object.keys(figures.large)).toEqual(Object.keys(large))
  })
})

describe('what is too large to search is walked through', () => {
  const faults = { power: 3, delete: 1, create: 1, slow: 2, late: 1, lost: 1, crash: 2, lag: 2 }
  const larger: Record<string, Configuration> = {
    'two machines, two hosts': {
      vms: ['a', 'b'],
      slots: { s1: 'h1', s2: 'h2' },
      faults: { ...faults, guest: 1, reboot: 1, restart: 1, down: 1, pause: 1, save: 1, undefine: 1 },
    },
    'three machines, two slots, two controllers': {
      vms: ['a', 'b', 'c'],
      slots: { s1: 'h1', s2: 'h1' },
      controllers: 2,
      workers: 2,
      faults: { ...faults, depose: 2 },
    },
  }
  it.each(Object.entries(larger))('%s', (_, configuration) => {
    const world = new World(configuration)
    fc.assert(
      fc.property(fc.infiniteStream(fc.nat({ max: 1 << 20 })), (stream) => {
        const finding = walk(world, 150, (of) => (stream.next().value as number) % Math.max(of, 1))
        expect(finding).toBeUndefined()
      }),
      { numRuns: 150, endOnFailure: true },
    )
  })
})

/** Of docs/decisions/0005-claim-protocol.md: an exploration that no longer finds one is broken. */
describe('plausible shortcuts are found', () => {
  const caught = new Map<string, Caught>()
  const catchOnce = (shortcut: (typeof shortcuts)[number]): Caught => {
    const known = caught.get(shortcut.name) ?? tryShortcut(shortcut)
    caught.set(shortcut.name, known)
    return known
  }

  it.each(shortcuts.map((shortcut) => [shortcut.name, shortcut] as const))('%s', (_, shortcut) => {
    const { finding } = catchOnce(shortcut)
    expect(finding?.what).toMatch(shortcut.finds)
    expect(finding?.trace.length).toBeGreaterThan(0)
  })

  it('and the documentation says by what (npm run test:explore -- --record)', () => {
    const page = readFileSync(new URL('../../../docs/claim-protocol-tests.md', import.meta.url), 'utf8')
    expect(page).toBe(renderDocument(figures, shortcuts.map(catchOnce)))
  })
})
