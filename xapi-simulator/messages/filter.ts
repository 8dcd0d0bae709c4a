import { XapiError } from '../errors.ts'
import type { Value } from '../model/types.ts'

type Condition = (fields: Readonly<Record<string, Value>>) => boolean

/**
 * Whether a record meets an expression of get_all_records_where: `true`, `false`, `not`, `and`, `or`, parentheses, and
 * `field "name" = "value"` with quotes of either kind.
 * @throws INVALID_VALUE for an expression that cannot be read
 */
export function matches(expression: string, fields: Readonly<Record<string, Value>>): boolean {
  return parse(expression)(fields)
}

function parse(expression: string): Condition {
  const tokens = expression.match(/"[^"]*"|'[^']*'|\w+|[=()]|\S/g) ?? []
  let position = 0
  const refuse = () => new XapiError('INVALID_VALUE', 'expr', expression)
  const accept = (token: string) => tokens[position] === token && position++ >= 0
  const expect = (token: string) => {
    if (!accept(token)) throw refuse()
  }
  const operand = (): ((fields: Readonly<Record<string, Value>>) => string) => {
    const isField = accept('field')
    const text = /^(["'])(.*)\1$/s.exec(tokens[position++] ?? '')?.[2]
    if (text === undefined) throw refuse()
    return (fields) => (isField ? asText(fields[text]) : text)
  }
  const factor = (): Condition => {
    if (accept('true')) return () => true
    if (accept('false')) return () => false
    if (accept('not')) {
      const inner = factor()
      return (fields) => !inner(fields)
    }
    if (accept('(')) {
      const inner = disjunction()
      expect(')')
      return inner
    }
    const left = operand()
    expect('=')
    const right = operand()
    return (fields) => left(fields) === right(fields)
  }
  const conjunction = (): Condition => {
    const parts = [factor()]
    while (accept('and')) parts.push(factor())
    return (fields) => parts.every((part) => part(fields))
  }
  const disjunction = (): Condition => {
    const parts = [conjunction()]
    while (accept('or')) parts.push(conjunction())
    return (fields) => parts.some((part) => part(fields))
  }
  const condition = disjunction()
  if (position < tokens.length) throw refuse()
  return condition
}

function asText(value: Value | undefined): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value ?? '')
}
