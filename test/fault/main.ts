/** `npm run test:fault`: every workload, in as many processes as there are cores. Exit code 1 when anything was found. */
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Options, parseOptions, usage } from './command.ts'
import type { Finding, Report } from './crash.ts'
import type { Task } from './worker.ts'
import { workloads } from './workloads/all.ts'
import { positions } from './world/effects.ts'

async function main(): Promise<number> {
  let options: Options
  try {
    options = parseOptions(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`test:fault: ${(error as Error).message}\n\n${usage}`)
    return 2
  }
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const started = performance.now()
  const reports = await runAll(options)
  const findings = reports.flatMap((report) => report.findings)
  for (const finding of findings) process.stdout.write(tell(finding, options))
  const runs = reports.reduce((sum, report) => sum + total(report), 0)
  const learnt = new Map(reports.map(({ workload, effects }) => [workload, effects]))
  const effects = [...learnt.values()].reduce((sum, count) => sum + count, 0)
  const seconds = Math.round((performance.now() - started) / 1000)
  process.stdout.write(
    `${learnt.size} workloads, ${effects} effects, ${runs} runs in ${seconds} s: ${findings.length} found\n`,
  )
  // A run of nothing must not pass.
  return findings.length === 0 && runs > 0 ? 0 : 1
}

async function runAll(options: Options): Promise<Report[]> {
  const { workloads: names, mode: wanted, effect, position, sample } = options
  const only = {
    ...(effect === undefined ? {} : { effect }),
    ...(position === undefined ? {} : { position }),
    ...(sample === undefined ? {} : { sample }),
  }
  const tasks: Task[] = workloads
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .flatMap(({ name, modes = [] }) =>
      (wanted === undefined ? (['crash', 'loop', ...modes] as const) : [wanted]).map((mode) => ({
        workload: name,
        mode,
        only,
      })),
    )
  const reports: Report[] = []
  const work = async () => {
    const worker = new Worker(new URL('worker.ts', import.meta.url))
    try {
      for (let task = tasks.shift(); task; task = tasks.shift()) {
        worker.postMessage(task)
        // Rejects with what the worker throws.
        const [report] = (await once(worker, 'message')) as [Report]
        process.stdout.write(summary(report))
        if (options.trace) process.stdout.write(`${report.trace.join('\n')}\n`)
        reports.push(report)
      }
    } finally {
      await worker.terminate()
    }
  }
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), tasks.length) }, work))
  return reports
}

const total = ({ runs }: Report): number => Object.values(runs).reduce((sum, count) => sum + count, 0)

const summary = ({ workload, mode, effects, runs, findings }: Report): string =>
  `${workload.padEnd(28)}${mode.padEnd(8)}${String(effects).padStart(4)} effects  ${positions
    .map((position) => `${runs[position] ?? 0} ${position}`)
    .join('  ')}  ${findings.length === 0 ? 'ok' : `${findings.length} FOUND`}\n`

function tell({ workload, mode, faults, problems, trace }: Finding, { trace: traced }: Options): string {
  const where = faults.map(({ effect, position }) => `effect ${effect}, ${position}`).join(', then ')
  const [first] = faults
  const there = first ? ` --effect ${first.effect} --position ${first.position}` : ''
  const again = `npm run test:fault -- --workload ${workload} --mode ${mode}${there} --trace`
  return [
    `\n${workload}, ${mode}${where === '' ? '' : `, ${where}`}:`,
    ...problems.map((problem) => `  ${problem}`),
    ...(traced ? trace : []),
    `  again: ${again}`,
    '',
  ].join('\n')
}

process.exitCode = await main()
