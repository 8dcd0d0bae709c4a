/** What each configuration had when it was last recorded (`npm run test:explore -- --record`). */
import { readFileSync } from 'node:fs'

export interface Figure {
  readonly states: number
  readonly depth: number
  readonly atRest: number
}

/** By set of configurations, and name. */
export type Figures = Record<'small' | 'large', Record<string, Figure>>

export const figuresFile = new URL('figures.json', import.meta.url)
export const readFigures = (): Figures => JSON.parse(readFileSync(figuresFile, 'utf8'))

/** A guard that blocks everything passes all checks of safety: what shrinks by more than half is looked at. */
export const hasShrunk = (states: number, recorded: Figure | undefined): boolean => states * 2 < (recorded?.states ?? 0)
