/** What a bench has measured, and how it is shown. */

export interface Figure {
  readonly what: string
  readonly unit: string
  /** One for each repetition; what is said is their median. */
  readonly values: readonly number[]
  /** In the same unit. */
  readonly goal?: { readonly atMost: number } | { readonly atLeast: number }
  /** What was run beside it on the same machine, in the same unit. */
  readonly reference?: { readonly what: string; readonly values: readonly number[] }
  /** Of the figure to its reference, in medians. */
  readonly ratioGoal?: { readonly atMost: number } | { readonly atLeast: number }
}

export interface BenchResult {
  readonly bench: string
  readonly title: string
  readonly figures: readonly Figure[]
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** Between the two nearest of them. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position - Math.floor(position))
}

export const ratio = ({ values, reference }: Figure): number | undefined =>
  reference && median(values) / median(reference.values)

/** Undefined: it has no goal. */
export function met(figure: Figure): boolean | undefined {
  const within = (value: number | undefined, goal: Figure['goal']) =>
    goal === undefined || value === undefined || ('atMost' in goal ? value <= goal.atMost : value >= goal.atLeast)
  if (figure.goal === undefined && figure.ratioGoal === undefined) return undefined
  return within(median(figure.values), figure.goal) && within(ratio(figure), figure.ratioGoal)
}

/** A Markdown table. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.what,
    `${spread(figure.values)} ${figure.unit}`.trim(),
    goalText(figure),
    figure.reference === undefined ? '' : `${figure.reference.what}: ${spread(figure.reference.values)}`,
    ratio(figure)?.toPrecision(3) ?? '',
  ])
  const lines = [
    ['what', 'median (all runs)', 'goal', 'reference beside it', 'ratio'],
    columns.map(() => '---'),
    ...rows,
  ]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

const columns = [0, 1, 2, 3, 4]

function goalText(figure: Figure): string {
  const text = (goal: NonNullable<Figure['goal']>) =>
    'atMost' in goal ? `≤ ${number(goal.atMost)}` : `≥ ${number(goal.atLeast)}`
  const goals = [
    ...(figure.goal ? [text(figure.goal)] : []),
    ...(figure.ratioGoal ? [`ratio ${text(figure.ratioGoal)}`] : []),
  ]
  return goals.length === 0 ? '' : `${goals.join(', ')} ${met(figure) ? 'met' : '**missed**'}`
}

function spread(values: readonly number[]): string {
  const [only] = values
  if (values.length === 1 && only !== undefined) return number(only)
  const [low, high] = [Math.min(...values), Math.max(...values)].map(number)
  return `${number(median(values))} (${low} to ${high})`
}

/** Three digits that count, and all of a larger number. */
const number = (value: number): string =>
  Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
