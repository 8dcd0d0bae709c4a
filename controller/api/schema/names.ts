/** Names and the like. One rule in words each: a `pattern` would fail with the regular expression as its message. */
import type { TString } from 'typebox'
import { text } from './base.ts'
import { type Rule, rule } from './cel.ts'

const part = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const labelPattern = `^${part}$`
const dottedPattern = `^${part}([.]${part})*$`
const ends = 'starting and ending with a letter or digit'

/** A DNS label. */
export const label = (description: string, { max = 63 }: { readonly max?: number } = {}): TString =>
  text(description, {
    min: 1,
    max,
    rules: [rule(`self.matches('${labelPattern}')`, `must be lower-case letters, digits and hyphens, ${ends}`)],
  })

/** A name that may have dots: of images and sizes. */
export const name = (description: string, { max = 63 }: { readonly max?: number } = {}): TString =>
  text(description, {
    min: 1,
    max,
    rules: [rule(`self.matches('${dottedPattern}')`, `must be lower-case letters, digits, hyphens and dots, ${ends}`)],
  })

/** The rule on `metadata.name` at the root of a kind: host names, volumes and slots are made from it. */
export const objectNameRule = ({ max, dots }: { readonly max: number; readonly dots: boolean }): Rule =>
  rule(
    `size(self.metadata.name) <= ${max} && self.metadata.name.matches('${dots ? dottedPattern : labelPattern}')`,
    `metadata.name must be at most ${max} characters: lower-case letters, digits${dots ? ', hyphens and dots' : ' and hyphens'}, ${ends}`,
    '.metadata.name',
  )

export const absolutePath = (description: string): TString =>
  text(description, {
    min: 1,
    max: 1024,
    rules: [
      rule("self.startsWith('/')", 'must be an absolute path'),
      rule("!self.contains('/../') && !self.endsWith('/..')", "must not contain '..'"),
    ],
  })

export const uuid = (description: string): TString =>
  text(description, {
    max: 36,
    rules: [
      rule(
        "self.matches('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",
        'must be a UUID in lower case',
      ),
    ],
  })

/** Unicast: the lowest bit of the first octet is 0. */
export const macAddress = (description: string): TString =>
  text(description, {
    max: 17,
    rules: [
      rule(
        "self.matches('^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$')",
        'must be a unicast MAC address such as 52:54:00:12:34:56',
      ),
    ],
  })
