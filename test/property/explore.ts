/**
 * `npm run test:explore [-- [--record] NAME...]`: explores the claim protocol's large worlds to their end, tries the
 * wrong shortcuts, and enumerates all pairs of desired and observed state. With names: what has one of them in its own;
 * of shortcuts the trace is printed. `--record` writes down the figures, and the page of the documentation.
 */
import { writeFileSync } from 'node:fs'
import { large, small } from '../../controller/reconcilers/virtual-machine/testing/configurations.ts'
import { catchAll, renderDocument, tryShortcut } from '../../controller/reconcilers/virtual-machine/testing/document.ts'
import { explore } from '../../controller/reconcilers/virtual-machine/testing/explore.ts'
import {
  type Figure,
  figuresFile,
  hasShrunk,
  readFigures,
} from '../../controller/reconcilers/virtual-machine/testing/figures.ts'
import { judge } from '../../controller/reconcilers/virtual-machine/testing/fixpoint.ts'
import { largeDomain, pairs } from '../../controller/reconcilers/virtual-machine/testing/pairs.ts'
import { shortcuts } from '../../controller/reconcilers/virtual-machine/testing/shortcuts.ts'
import type { Configuration } from '../../controller/reconcilers/virtual-machine/testing/state.ts'
import { World } from '../../controller/reconcilers/virtual-machine/testing/world.ts'

const page = new URL('../../docs/claim-protocol-tests.md', import.meta.url)
/** More than any configuration has: one that grew so far is to be split. */
const mostStates = 4_000_000

const words = process.argv.slice(2)
const records = words.includes('--record')
const names = words.filter((word) => word !== '--record')
const isWanted = (name: string): boolean => names.length === 0 || names.some((part) => name.includes(part))
const figures = readFigures()
let passed = 0
let failed = 0

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`
const onTerminal = (line: string): void => {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${line}`)
}
function report(isGood: boolean, line: string, trace: readonly string[] = []): void {
  onTerminal('')
  console.log(`${isGood ? 'ok    ' : 'FAILED'} ${line}`)
  for (const [index, step] of trace.entries()) console.log(`${String(index + 1).padStart(10)} ${step}`)
  if (isGood) passed++
  else failed++
}

function exploreOne(set: 'small' | 'large', name: string, configuration: Configuration): void {
  const began = performance.now()
  const { states, depth, atRest, finding } = explore(new World(configuration), {
    states: mostStates,
    onProgress: (met, done) => onTerminal(`${name}: ${met} states, ${met - done} to be looked at`),
  })
  const known = figures[set][name]
  const shrunk = !records && hasShrunk(states, known)
  if (records) figures[set][name] = { states, depth, atRest }
  const what = finding?.what ?? (shrunk ? `only ${states} of ${known?.states} states` : 'holds')
  const figure = `${states} states, depth ${depth}, ${atRest} at rest`
  report(!finding && !shrunk && atRest > 0, `${name}: ${what} (${figure}, ${seconds(began)})`, finding?.trace)
}

function enumeratePairs(): void {
  const began = performance.now()
  let count = 0
  let longest = 0
  for (const pair of pairs(largeDomain)) {
    const { fault, steps } = judge(pair)
    if (fault !== undefined) {
      report(false, `pairs: ${fault}`, [JSON.stringify(pair)])
      return
    }
    longest = Math.max(longest, steps)
    if ((++count & 0xffff) === 0) onTerminal(`pairs: ${count}`)
  }
  report(true, `pairs of desired and observed: ${count} come to rest within ${longest} steps (${seconds(began)})`)
}

if (isWanted('pairs')) enumeratePairs()
for (const shortcut of shortcuts.filter(({ name }) => isWanted(name))) {
  const { finding } = tryShortcut(shortcut)
  const isFound = finding !== undefined && shortcut.finds.test(finding.what)
  const what = finding ? `${finding.what} (after ${finding.trace.length} steps)` : 'NOT FOUND'
  report(isFound, `shortcut, ${shortcut.name}: ${what}`, names.length > 0 || !isFound ? finding?.trace : [])
}
for (const [name, configuration] of Object.entries(records ? small : {})) exploreOne('small', name, configuration)
for (const [name, configuration] of Object.entries(large)) if (isWanted(name)) exploreOne('large', name, configuration)

/** In the order of the configurations; what is no longer among them is left out. */
const ordered = (known: Record<string, Figure>, of: Readonly<Record<string, Configuration>>) =>
  Object.fromEntries(Object.keys(of).flatMap((name) => (known[name] ? [[name, known[name]]] : [])))

if (records && failed === 0) {
  const recorded = { small: ordered(figures.small, small), large: ordered(figures.large, large) }
  writeFileSync(figuresFile, `${JSON.stringify(recorded, undefined, 2)}\n`)
  writeFileSync(page, renderDocument(figures, catchAll()))
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
