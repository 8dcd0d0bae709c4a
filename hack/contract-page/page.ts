/** The page of the docs that says which hosts pass which part of the driver contract. */
import { type AbilityName, abilities, type Lacks } from '../../controller/hypervisor/contract/abilities.ts'

/** What a host shows of each test: that it passes, or what the host lacks for it. */
export type Showing = 'Passed' | AbilityName

export interface HostColumn {
  readonly host: string
  readonly lacks: Lacks
  /** By the test's name. */
  readonly tests: ReadonlyMap<string, Showing>
}

const introduction = `# The driver contract

Every driver does the same for the controller, whatever is behind it: one suite of tests says what, and runs against each host below. This page is made from those runs by \`node hack/contract-page/main.ts\`; a test holds its list of tests to the suite.

✓ passes. A word in its place names what the host cannot do, which excludes the test: the reasons are [below](#what-hosts-cannot-do). What is excluded is checked against the capabilities that the driver tells of the host, where these say so.
`

/** Rows in the order of `tests`; a host without a record of one shows nothing there. */
export function formatPage(
  tests: readonly { readonly group: string; readonly name: string }[],
  hosts: readonly HostColumn[],
): string {
  const groups = [...new Set(tests.map(({ group }) => group))]
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const tables = groups.map((group) =>
    [
      `## ${capitalised(group)}\n`,
      row(['', ...hosts.map(({ host }) => host)]),
      row(['---', ...hosts.map(() => ':-:')]),
      ...tests
        .filter((test) => test.group === group)
        .map((test) => row([test.name, ...hosts.map((host) => cellOf(host.tests.get(test.name)))])),
    ].join('\n'),
  )
  const reasons = hosts
    .filter(({ lacks }) => Object.keys(lacks).length > 0)
    .map(({ host, lacks }) => {
      const lines = Object.entries(lacks).map(
        ([name, reason]) => `- **${name}**: it cannot ${abilities[name as AbilityName].meaning}; ${reason}.`,
      )
      return [`### ${host}\n`, ...lines].join('\n')
    })
  return `${[introduction.trimEnd(), ...tables, '## What hosts cannot do', ...reasons].join('\n\n')}\n`
}

/** Reads back what `formatPage` wrote: hosts that did not run this time stay on the page as they are. */
export function parsePage(page: string): HostColumn[] {
  const hosts = new Map<string, { lacks: Record<string, string>; tests: Map<string, Showing> }>()
  let columns: string[] = []
  let reasonsOf = ''
  for (const line of page.split('\n')) {
    if (line.startsWith('### ')) reasonsOf = line.slice(4)
    const reason = /^- \*\*(\w+)\*\*: it cannot .*?; (.*)\.$/.exec(line)
    if (reason?.[1] !== undefined && reason[2] !== undefined) {
      const { lacks } = hosts.get(reasonsOf) ?? {}
      if (lacks !== undefined) lacks[reason[1]] = reason[2]
    }
    if (!line.startsWith('| ')) continue
    const [first = '', ...cells] = line
      .slice(2, -2)
      .split(/ \| /)
      .map((cell) => cell.replaceAll('\\|', '|').trim())
    if (first === '') columns = cells
    for (const host of columns) if (!hosts.has(host)) hosts.set(host, { lacks: {}, tests: new Map() })
    if (first === '' || first === '---') continue
    for (const [index, cell] of cells.entries()) {
      const shown = showingOf(cell)
      if (shown !== undefined) hosts.get(columns[index] ?? '')?.tests.set(first, shown)
    }
  }
  return [...hosts].map(([host, known]) => ({ host, ...known }))
}

const cellOf = (showing: Showing | undefined): string => (showing === 'Passed' ? '✓' : (showing ?? ''))

function showingOf(cell: string): Showing | undefined {
  if (cell === '✓') return 'Passed'
  return cell in abilities ? (cell as AbilityName) : undefined
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
