/** The values of every enumerator in C headers; `1 << 3`, `1U << 3`, other enumerators and `|` of them are read. */
export const parseEnums = (...headers: readonly string[]): ReadonlyMap<string, number> => {
  const values = new Map<string, number>()
  const text = headers
    .join('\n')
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/^\s*#.*$/gm, '')
  for (const [, body = ''] of text.matchAll(/\benum\s*\w*\s*\{([^}]*)\}/g)) {
    let next = 0
    for (const item of body.split(',').filter((part) => part.trim() !== '')) {
      const [name = '', expression] = item.split('=').map((part) => part.trim())
      if (expression !== undefined) next = evaluate(expression, values)
      values.set(name, next++)
    }
  }
  return values
}

const evaluate = (expression: string, known: ReadonlyMap<string, number>): number => {
  const parts = expression.replaceAll(/[()]/g, '').split('|')
  return parts.reduce((sum, part) => {
    const [left = '', shift = '0'] = part.split('<<').map((word) => word.trim())
    const value = known.get(left) ?? Number(left.replace(/[UL]+$/, ''))
    if (!Number.isInteger(value)) throw new Error(`cannot read: ${expression}`)
    return sum + value * 2 ** Number(shift)
  }, 0)
}
