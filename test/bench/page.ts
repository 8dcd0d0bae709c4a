/** Writes tables into docs/performance.md, between the comments that name their bench. */
import { type BenchResult, table } from './figures.ts'
import { type Machine, machineText } from './machine.ts'

/** Answers with the page that has this bench's new table. @throws where the page has no place for it. */
export function withResult(page: string, result: BenchResult, machine: Machine): string {
  const begin = `<!-- bench: ${result.bench} -->`
  const end = `<!-- end: ${result.bench} -->`
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the page has no place for ${result.bench}: ${begin} … ${end}`)
  const text = `${begin}\n\n${machineText(machine)}\n\n${table(result.figures)}\n\n`
  return `${page.slice(0, from)}${text}${page.slice(to)}`
}
