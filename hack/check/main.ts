/** `node hack/check/main.ts all|unit|real|proxied|xen [JEST ARGUMENT ...]`: the checks and tests, and one summary of them. */
import { endOnSignals } from '../setup/processes.mjs'
import { drift, lint, tier, types } from './steps.ts'
import { exitCodeOf, type Outcome, summaryText } from './summary.ts'

const [selection, ...further] = process.argv.slice(2)
const steps: (() => Promise<Outcome>)[] = []
if (selection === 'all') steps.push(lint, types, drift)
if (selection === 'all' || selection === 'unit') steps.push(() => tier('unit', further))
if (selection === 'all' || selection === 'real') steps.push(() => tier('real', further))
// Not of `all`: one waits most of its time, the other needs 2 GB of memory and a build of minutes.
if (selection === 'proxied' || selection === 'xen') steps.push(() => tier(selection, further))

if (steps.length === 0) {
  console.error('usage: node hack/check/main.ts all|unit|real|proxied|xen [JEST ARGUMENT ...]')
  process.exitCode = 2
} else {
  endOnSignals()
  const outcomes: Outcome[] = []
  // Each runs whatever became of the ones before it: one run tells everything that is wrong.
  for (const step of steps) outcomes.push(await step())
  console.log(`\n${summaryText(outcomes)}`)
  process.exitCode = exitCodeOf(outcomes)
}
