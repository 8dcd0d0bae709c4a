/** Amounts with units, as strings: the same spelling everywhere, and CEL can compare them. */
import type { TString } from 'typebox'
import { text } from './base.ts'
import { rule } from './cel.ts'

/**
 * A Kubernetes quantity of bytes (`2Gi`). Bare suffixes that are mistakes (`m`, `GB`) are refused. The bound below 8Pi
 * keeps every amount a safe integer.
 */
export const bytes = (description: string, { min }: { readonly min?: string } = {}): TString => {
  const amount = "self.matches('^[0-9]+([.][0-9]+)?(k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$')"
  const most = "quantity(self).compareTo(quantity('8Pi')) < 0"
  const least = min === undefined ? '' : ` && quantity(self).compareTo(quantity('${min}')) >= 0`
  const words = `must be an amount of bytes such as 2Gi, with suffix k Ki M Mi G Gi T Ti P Pi or none${min === undefined ? '' : `, at least ${min}`}, and less than 8Pi`
  return text(description, { min: 1, max: 32, rules: [rule(`${amount} && ${most}${least}`, words)] })
}

/** A Go duration with units ms, s, m, h (`90s`); no days. */
export const duration = (description: string, { min, max }: { readonly min: string; readonly max: string }): TString =>
  text(description, {
    min: 1,
    // Few digits in few characters, so that duration() cannot overflow.
    max: 16,
    rules: [
      rule(
        `self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('${min}') && duration(self) <= duration('${max}')`,
        `must be a duration such as 90s or 5m, with units ms, s, m, h, from ${min} to ${max}`,
      ),
    ],
  })

/** The least memory that a machine or slot can have. */
export const leastMemory = '16Mi'
export const mostCpus = 1024
