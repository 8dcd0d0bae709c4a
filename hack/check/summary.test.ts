import { describe, expect, test } from '@jest/globals'
import { countTier, exitCodeOf, type JestReport, type Outcome, summaryText } from './summary.ts'

const green: JestReport = {
  numPassedTests: 2,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numRuntimeErrorTestSuites: 0,
  testResults: [
    {
      name: 'a.test.ts',
      status: 'passed',
      assertionResults: [
        { fullName: 'a one', status: 'passed' },
        { fullName: 'a two', status: 'passed' },
      ],
    },
  ],
}

describe('counting a tier', () => {
  test('counts what passed', () => {
    expect(countTier(green, 0, true)).toEqual({ passed: 2, failed: 0, failures: [] })
  })

  test('names each test that failed', () => {
    const report: JestReport = {
      ...green,
      numPassedTests: 1,
      numFailedTests: 1,
      testResults: [
        { name: 'a.test.ts', status: 'failed', assertionResults: [{ fullName: 'a one', status: 'failed' }] },
      ],
    }
    expect(countTier(report, 1, true)).toEqual({ passed: 1, failed: 1, failures: ['a.test.ts: a one'] })
  })

  test('a file that could not be run is a failure', () => {
    const report: JestReport = {
      ...green,
      numRuntimeErrorTestSuites: 1,
      testResults: [...green.testResults, { name: 'b.test.ts', status: 'failed', assertionResults: [] }],
    }
    const counts = countTier(report, 1, true)
    expect(counts).toEqual({ passed: 2, failed: 1, failures: ['b.test.ts: the file could not be run'] })
  })

  test('a skipped test is a failure of a whole run, and none of a narrowed one', () => {
    const report = { ...green, numPendingTests: 1, numTodoTests: 1 }
    expect(countTier(report, 0, true)).toMatchObject({ passed: 2, failed: 2 })
    expect(countTier(report, 0, false)).toMatchObject({ passed: 2, failed: 0 })
  })

  test('silence is a failure: no report, no test, or an exit code that no test explains', () => {
    expect(countTier(undefined, 1, true).failed).toBe(1)
    expect(countTier(undefined, 0, true).failed).toBe(1)
    expect(countTier({ ...green, numPassedTests: 0, testResults: [] }, 0, false).failed).toBe(1)
    expect(countTier(green, 143, true)).toMatchObject({ passed: 2, failed: 1 })
  })
})

describe('the summary', () => {
  const outcome = (name: string, passed: number, failed: number, failures: string[] = []): Outcome => ({
    ...{ name, passed, failed, failures },
    milliseconds: 1234,
  })

  test('ends with the sums alone on the last line', () => {
    const text = summaryText([outcome('lint', 1, 0), outcome('unit', 40, 2, ['a.test.ts: a one'])])
    expect(text.split('\n').at(-1)).toBe('41 passed, 2 failed')
    expect(text).toContain('unit: a.test.ts: a one')
  })

  test('fails when anything failed, and when nothing ran', () => {
    expect(exitCodeOf([outcome('unit', 3, 0)])).toBe(0)
    expect(exitCodeOf([outcome('unit', 3, 0), outcome('lint', 0, 1)])).toBe(1)
    expect(exitCodeOf([outcome('unit', 0, 0)])).toBe(1)
    expect(exitCodeOf([])).toBe(1)
  })
})
