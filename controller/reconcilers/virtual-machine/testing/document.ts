/** The page of the documentation that says what was explored, and by what each shortcut is caught. */
import { large, small } from './configurations.ts'
import { explore, type Finding } from './explore.ts'
import type { Figure, Figures } from './figures.ts'
import { shortcuts, type WrongShortcut } from './shortcuts.ts'
import type { Configuration } from './state.ts'
import { World } from './world.ts'

export interface Caught {
  readonly shortcut: WrongShortcut
  readonly finding: Finding | undefined
}

export const tryShortcut = (shortcut: WrongShortcut): Caught => {
  const { configuration, protocol, onlyGuests } = shortcut
  return { shortcut, finding: explore(new World(configuration, protocol, onlyGuests)).finding }
}

export function describeWorld({ vms, slots, controllers, workers, faults, ...others }: Configuration): string {
  const hosts = new Set(Object.values(slots)).size
  const many = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`
  const { shutdownMode, powerStates, onGuestShutdown, retained, deaf, unknown, disksOn } = others
  return [
    `${many(vms.length, 'machine')}, ${many(Object.keys(slots).length, 'slot')}${hosts > 1 ? ` on ${hosts} hosts` : ''}`,
    ...(controllers === undefined ? [] : [many(controllers, 'controller')]),
    ...(workers === undefined ? [] : [many(workers, 'worker')]),
    ...(shutdownMode === undefined ? [] : [`shutdownMode ${shutdownMode}`]),
    ...(powerStates === undefined ? [] : [`between ${powerStates.join(', ')}`]),
    ...(onGuestShutdown === undefined ? [] : [`onGuestShutdown ${onGuestShutdown}`]),
    ...(retained ? ['disk retained'] : []),
    ...(deaf ? ['the guest does not hear the power button'] : []),
    ...(unknown ? [`an unknown machine runs under ${unknown}`] : []),
    ...(disksOn
      ? [
          Object.entries(disksOn)
            .map(([vm, host]) => `disks of ${vm} on ${host}`)
            .join(', '),
        ]
      : []),
    Object.entries(faults)
      .map(([fault, count]) => `${fault} ${count}`)
      .join(', ') || 'no faults',
  ].join('; ')
}

const explored = (configurations: Readonly<Record<string, Configuration>>, figures: Record<string, Figure>): string[] =>
  Object.entries(configurations).map(([name, configuration]) => {
    const { states = 0, depth = 0, atRest = 0 } = figures[name] ?? {}
    return `| ${name} | ${describeWorld(configuration)} | ${states.toLocaleString('en')} | ${depth} | ${atRest} |`
  })

const total = ({ small, large }: Figures): string =>
  [...Object.values(small), ...Object.values(large)].reduce((sum, { states }) => sum + states, 0).toLocaleString('en')

export const renderDocument = (figures: Figures, caught: readonly Caught[]): string =>
  `# How the claim protocol is tested

This page is made by \`npm run test:explore -- --record\`; a unit test compares it with what it finds.

The planner and the placement of virtual machines ([the claim protocol](decisions/0005-claim-protocol.md)) are pure functions. Their own code, no copy of it, runs in a small world: objects with compare-and-swap, hosts, controllers with caches, and calls that arrive whenever they like, long after their sender gave up, crashed or was deposed. Every state that can be reached is looked at, ${total(figures)} in all. Three things are asked for, each on its own:

- **safe**, in each state: one machine on a slot and no machine on two hosts; what runs or could be started has a claim there; nothing is undefined or deleted that lives or is retained; no saved memory is thrown away under a claim that is held; nothing is stopped on a stale read; nobody is overtaken in the queue;
- **arrived**, wherever nothing is left to be done: what was wished for is so, no slot is leaked, no disk lost, nothing left over on a host;
- **quiet**: no cycle without further faults contains a call.

Together: once faults stop, every fair run arrives, and falls silent. A configuration whose number of states falls below half of what is recorded here fails too: a guard that blocks everything is safe.

Faults are budgets, and all orders of them are tried. *power*: a user sets another powerState, between Running and Stopped where nothing else is said; *token*: asks for a restart, or takes that back; *delete*, *create*: under the same name; *guest* shuts itself down; *reboot* of a host; *restart* of its daemon, which forgets why machines are off; *down*: the host cannot be reached for a time, and connections break; *pause*, *save*, *undefine*, *remove*: by a person at the host; *slow*: an answer is lost, the call arrives within T; *late*: at any time; *lost*: never; *crash* of the controller; *depose*: the lease goes to the other; *lag*: the cache stops following one object.

\`plan.fixpoint.test.ts\` enumerates pairs of desired and observed state beside that: each comes to rest within a bounded number of steps, does none twice, and ends with what was desired or with a wait for something that is there; where the host is as desired, the plan is empty.

## Wrong shortcuts

Each was put in the place of the real code, and must be found. "Two guests" means that nothing else was asked for, to show where it leads.

| shortcut | world | caught by | after steps |
|---|---|---|---|
${caught
  .map(
    ({ shortcut: { name, configuration, onlyGuests }, finding }) =>
      `| ${name} | ${describeWorld(configuration)} | ${onlyGuests ? '(two guests) ' : ''}${finding?.what ?? '**not found**'} | ${finding?.trace.length ?? ''} |`,
  )
  .join('\n')}

\`npm run test:explore -- 'PART OF ITS NAME'\` prints how it comes about, step by step.

Not among them, since what they would break is not there yet: a forced deletion that frees the slot (there is no force), adopting machines before their slots are claimed (there is no adoption; the look at the host that keeps a lost etcd from making two guests is among them), the intent to stop of \`releaseOn: Delete\`, and a queue that fails instead of waiting.

## Explored in every run of the unit tests

| configuration | world | states | depth | at rest |
|---|---|---|---|---|
${explored(small, figures.small).join('\n')}

## Explored by \`npm run test:explore\`

| configuration | world | states | depth | at rest |
|---|---|---|---|---|
${explored(large, figures.large).join('\n')}

## What is not in the world

Time passes only as far as T matters: the T rule is told of every call that is not beyond it. What a call beyond T may leave, by design, is excused once one was spent: a definition or a volume without an object, and our own stop taken for the guest's. One pass makes one call, and sees one host in one moment. Edits of anything but power, images, more than three machines, and the status's other fields are left to other tests.
`

export const catchAll = (): Caught[] => shortcuts.map(tryShortcut)
