import { describe, expect, test } from '@jest/globals'
import { consent, planText, problemText } from './plan.mjs'

describe('the plan that a person is shown', () => {
  const long = Array.from({ length: 40 }, (_, index) => `package-${index}`).join(' ')
  const text = planText(
    [
      { name: 'npm packages', what: 'npm ci' },
      { name: 'Debian packages', what: `apt-get install ${long}` },
    ],
    '/home/alice/.cache/berth',
  )

  test('names every part, every package, and where the cache is', () => {
    for (const word of ['npm packages', 'Debian packages', ...long.split(' '), '/home/alice/.cache/berth']) {
      expect(text).toContain(word)
    }
  })

  test('fits a hundred columns', () => {
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
  })

  test('a word wider than the page is kept whole', () => {
    const word = 'x'.repeat(200)
    expect(planText([{ name: 'n', what: `a ${word} b` }], '/c')).toContain(word)
  })

  test('lists all problems at once', () => {
    expect(problemText(['no Go', 'no root'])).toMatch(/- no Go\n {2}- no root/)
  })
})

describe('whether to install', () => {
  const environment = {}
  test.each([
    [{ yes: true, terminal: false, environment }, 'yes'],
    [{ yes: false, terminal: false, environment: { CI: 'true' } }, 'yes'],
    [{ yes: false, terminal: true, environment }, 'ask'],
    [{ yes: false, terminal: false, environment }, 'refuse'],
    [{ yes: false, terminal: false, environment: { CI: 'false' } }, 'refuse'],
  ] as const)('%j: %s', (situation, decision) => {
    expect(consent(situation)).toBe(decision)
  })
})
