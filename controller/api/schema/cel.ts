/** CEL rules (`x-kubernetes-validations`), and builders for those that recur. `self` is the value that bears the rule. */

export interface Rule {
  readonly rule: string
  /** What the user reads: says what must be, so that the mend is plain. */
  readonly message: string
  /** Field that the message is shown at, within the value that bears the rule: `.size`. */
  readonly fieldPath?: string
}

export const rule = (expression: string, message: string, fieldPath?: string): Rule => ({
  rule: expression,
  message,
  ...(fieldPath === undefined ? {} : { fieldPath }),
})

const countOf = (fields: readonly string[]): string => fields.map((field) => `(has(self.${field}) ? 1 : 0)`).join(' + ')

/** A union: an object with optional members of which one is there. */
export const exactlyOne = (...fields: readonly string[]): Rule =>
  rule(`${countOf(fields)} == 1`, `exactly one of ${fields.join(', ')} must be set`)

export const atMostOne = (...fields: readonly string[]): Rule =>
  rule(`${countOf(fields)} <= 1`, `only one of ${fields.join(', ')} may be set`)

/** A required scalar that never changes. */
export const immutable = (field: string): Rule =>
  rule(`self.${field} == oldSelf.${field}`, `${field} cannot be changed`, `.${field}`)

/** An optional field that is neither changed, nor added, nor removed. */
export const immutableOptional = (field: string): Rule =>
  rule(unchanged(field), `${field} cannot be changed, added or removed`, `.${field}`)

/** Expression: an optional field, by its path, is as it was. Its parents must be there. */
export const unchanged = (path: string): string =>
  `has(self.${path}) == has(oldSelf.${path}) && (!has(self.${path}) || self.${path} == oldSelf.${path})`

/** A rule at the root of a kind, in force once the old status has `field`: it happened, and the spec said how. */
export const once = (field: string, expression: string, message: string, fieldPath: string): Rule =>
  rule(`!has(oldSelf.status) || !has(oldSelf.status.${field}) || (${expression})`, message, fieldPath)
