/** @import { Need } from './needs.mjs' */

const width = 100

/**
 * What a person is shown before anything is installed.
 * @param {readonly Pick<Need, 'name' | 'what'>[]} needs
 * @param {string} cache
 */
export function planText(needs, cache) {
  const column = Math.max(...needs.map(({ name }) => name.length)) + 2
  const lines = needs.flatMap(({ name, what }) =>
    wrap(what, width - column - 2).map((line, index) => `  ${(index === 0 ? name : '').padEnd(column)}${line}`),
  )
  return [
    'Missing on this machine, and installed or built once:',
    ...lines,
    `What is built is kept in ${cache}; 'npm run clean -- --cache' removes it.`,
  ].join('\n')
}

/**
 * What is said instead, when something stands in the way.
 * @param {readonly string[]} problems
 */
export function problemText(problems) {
  const lines = problems.flatMap((problem) =>
    wrap(problem, width - 4).map((line, index) => `  ${index === 0 ? '- ' : '  '}${line}`),
  )
  return ['This machine lacks what cannot be installed from here:', ...lines].join('\n')
}

/**
 * @param {string} text
 * @param {number} width
 */
function wrap(text, width) {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1] ?? ''
    if (line !== '' && line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`
  }
  return lines
}

/**
 * Whether to install: 'yes' without a question, 'ask' a person, or 'refuse' where nobody can be asked.
 * @param {{ yes: boolean, terminal: boolean, environment: Readonly<Record<string, string | undefined>> }} situation
 * @returns {'yes' | 'ask' | 'refuse'}
 */
export function consent({ yes, terminal, environment: { CI: ci } }) {
  if (yes || ci === 'true' || ci === '1') return 'yes'
  return terminal ? 'ask' : 'refuse'
}
