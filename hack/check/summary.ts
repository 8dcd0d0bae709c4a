/** What one check or one tier of tests came to. A check, such as the linter, counts as one test. */
export interface Outcome {
  readonly name: string
  readonly passed: number
  readonly failed: number
  /** What failed, one line each, to be read again at the end. */
  readonly failures: readonly string[]
  readonly milliseconds: number
}

/** Of Jest's `--json` output, what is counted here. */
export interface JestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  /** Skipped tests. */
  readonly numPendingTests: number
  readonly numTodoTests: number
  /** Files that could not be run at all. */
  readonly numRuntimeErrorTestSuites: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

type Counts = Pick<Outcome, 'passed' | 'failed' | 'failures'>

/**
 * Counts a tier. Never is it green by saying nothing: a run without a report or without a test is a failure, so is a
 * file that could not be run, and so is an exit code other than 0 that no test explains. `complete` tells that no test
 * was meant to be left out: then a skipped test is a failure too.
 */
export function countTier(report: JestReport | undefined, exitCode: number, complete: boolean): Counts {
  if (report === undefined) return { passed: 0, failed: 1, failures: [`Jest gave no report, exit code ${exitCode}`] }
  const failures = report.testResults.flatMap((file) => {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed')
    if (failed.length === 0 && file.status === 'failed') return [`${file.name}: the file could not be run`]
    return failed.map(({ fullName }) => `${file.name}: ${fullName}`)
  })
  let failed = report.numFailedTests + report.numRuntimeErrorTestSuites
  const skipped = report.numPendingTests + report.numTodoTests
  if (complete && skipped > 0) {
    failed += skipped
    failures.push(`${skipped} skipped; a test that must not run is to be removed`)
  }
  if (failed === 0 && report.numPassedTests === 0) {
    failed = 1
    failures.push('no test ran')
  }
  if (failed === 0 && exitCode !== 0) {
    failed = 1
    failures.push(`every test passed, but Jest ended with exit code ${exitCode}`)
  }
  return { passed: report.numPassedTests, failed, failures }
}

/** The summary of a run. Its last line is exactly `N passed, N failed`. */
export function summaryText(outcomes: readonly Outcome[]): string {
  const width = Math.max(...outcomes.map(({ name }) => name.length))
  const lines = outcomes.map(({ name, passed, failed, milliseconds }) => {
    const seconds = `${(milliseconds / 1000).toFixed(1)} s`
    return `  ${name.padEnd(width)}  ${passed} passed, ${failed} failed  ${seconds}`
  })
  const failures = outcomes.flatMap(({ name, failures }) => failures.map((failure) => `  ${name}: ${failure}`))
  const total = (key: 'passed' | 'failed') => outcomes.reduce((sum, outcome) => sum + outcome[key], 0)
  return [
    'Summary',
    ...lines,
    ...(failures.length === 0 ? [] : ['Failed', ...failures]),
    `${total('passed')} passed, ${total('failed')} failed`,
  ].join('\n')
}

/** 0 when something passed and nothing failed. */
export function exitCodeOf(outcomes: readonly Outcome[]): number {
  return outcomes.some(({ passed }) => passed > 0) && outcomes.every(({ failed }) => failed === 0) ? 0 : 1
}
