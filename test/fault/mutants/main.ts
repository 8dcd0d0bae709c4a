/** `npm run test:fault -- --mutants`, and on its own: exit code 1 when one survives. */
import { mutants } from './all.ts'
import { tryMutant } from './run.ts'

let survivors = 0
for (const mutant of mutants) {
  const { found, problems } = await tryMutant(mutant)
  if (!found) survivors++
  process.stdout.write(`${mutant.name.padEnd(28)}${found ? 'found' : 'SURVIVED'}: ${problems[0] ?? 'nothing'}\n`)
  if (!found) process.stdout.write(problems.map((problem) => `    ${problem}\n`).join(''))
}
process.stdout.write(`${mutants.length} mutants, ${survivors} survived\n`)
process.exitCode = survivors === 0 ? 0 : 1
