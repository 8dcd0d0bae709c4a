import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Makes api.md from the source: what index.ts exports, with its documentation. Reads lines, as the formatter leaves
 * them: a declaration begins at the margin, a member two spaces in, and its documentation stands right before it.
 *
 *   node docs/generate.ts
 */
const root = join(import.meta.dirname, '..')

interface Member {
  readonly signature: string
  readonly documentation: string
}

interface Declaration extends Member {
  readonly kind: 'class' | 'interface' | 'const' | 'type'
  readonly name: string
  readonly base: string | undefined
  readonly members: readonly Member[]
}

const files = (): readonly string[] => {
  const index = readFileSync(join(root, 'index.ts'), 'utf8')
  const direct = [...index.matchAll(/from '\.\/([^']+)'/g)].map(([, path = '']) => path)
  const constants = readFileSync(join(root, 'constants.ts'), 'utf8')
  const parts = [...constants.matchAll(/from '\.\/([^']+)'/g)].map(([, path = '']) => path)
  // Bases of exported classes are not exported themselves.
  const bases = [
    ...['host', 'domains', 'storage', 'networks', 'secrets'].map((name) => `connection/${name}.ts`),
    ...['handle', 'saved-state', 'snapshots', 'devices', 'guest', 'statistics'].map((name) => `domain/${name}.ts`),
  ]
  return [...new Set([...direct.filter((path) => path !== 'constants.ts'), ...bases, ...parts])]
}

/** A comment's text, without its stars. */
const textOf = (comment: readonly string[]): string =>
  comment
    .map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*)?\s?/, '').replace(/\s*\*\/$/, ''))
    .join('\n')
    .trim()

/** `{ … }` bodies and line breaks are left out of a signature. */
const signatureOf = (lines: readonly string[]): string =>
  lines
    .join(' ')
    .replaceAll(/\s+/g, ' ')
    .replace(/^ ?(export |abstract |async |readonly |override )*/, '')
    .replace(/^static async /, 'static ')
    .replace(/ ?\{ ?$/, '')
    .replace(/,? ?\)/g, ')')
    .replaceAll('( ', '(')
    .trim()

const read = (path: string): readonly Declaration[] => {
  const lines = readFileSync(join(root, path), 'utf8').split('\n')
  const declarations: Declaration[] = []
  let comment: string[] = []
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (line.startsWith('/**')) {
      const start = at
      while (!(lines[at] ?? '').includes('*/')) at++
      comment = lines.slice(start, at + 1)
      continue
    }
    const match = /^export (?:abstract )?(class|interface|const|type) (\w+)/.exec(line)
    if (match === null) {
      if (line.trim() !== '') comment = []
      continue
    }
    const [, kind = '', name = ''] = match
    const start = at
    const open = /[{(]$/.test(line) || (kind === 'type' && line.endsWith('='))
    if (open) while (at + 1 < lines.length && !/^[}]|^$/.test(lines[at + 1] ?? '')) at++
    let body = lines.slice(start + 1, at + 1)
    // A class has empty lines between its members.
    if (kind === 'class' || kind === 'interface') {
      let end = start
      while (end < lines.length && lines[end] !== '}' && !(lines[end] ?? '').endsWith('{}')) end++
      body = lines.slice(start + 1, end)
      at = end
    }
    declarations.push({
      kind: kind as Declaration['kind'],
      name,
      base: /extends (\w+)/.exec(line)?.[1],
      signature:
        kind === 'const' || kind === 'type' ? [line, ...body, open && kind === 'const' ? '}' : ''].join('\n') : '',
      documentation: textOf(comment),
      members: kind === 'class' || kind === 'interface' ? membersOf(body) : [],
    })
    comment = []
  }
  return declarations
}

const membersOf = (body: readonly string[]): readonly Member[] => {
  const members: Member[] = []
  let comment: string[] = []
  for (let at = 0; at < body.length; at++) {
    const line = body[at] ?? ''
    if (/^ {2}\/\*\*/.test(line)) {
      const start = at
      while (!(body[at] ?? '').includes('*/')) at++
      comment = body.slice(start, at + 1)
      continue
    }
    if (/^ {2}((readonly )?#|private|protected|override|constructor|declare)/.test(line) || !/^ {2}[\w[]/.test(line)) {
      if (!/^ {4}/.test(line) && line.trim() !== '') comment = []
      continue
    }
    const start = at
    // A head over several lines ends with `{` or, in an interface, where the next member begins.
    if (/[({]$/.test(line)) while (!/^ {2}[)}]/.test(body[at] ?? '') && at + 1 < body.length && !/\{$/.test(line)) at++
    const head = body.slice(start, at + 1)
    members.push({ signature: signatureOf(head), documentation: textOf(comment) })
    comment = []
  }
  return members
}

const paragraphs = (text: string): string => text.replaceAll(/\{@link ([\w.]+)\}/g, '`$1`')

const page = (): string => {
  const all = files().flatMap(read)
  const byName = new Map(all.map((declaration) => [declaration.name, declaration]))
  const inherited = (declaration: Declaration): readonly Member[] => {
    const base = declaration.base === undefined ? undefined : byName.get(declaration.base)
    return [...declaration.members, ...(base === undefined ? [] : inherited(base))]
  }
  const index = readFileSync(join(root, 'index.ts'), 'utf8')
  const constants = new Set(
    readdirSync(join(root, 'constants'))
      .flatMap((file) => read(`constants/${file}`))
      .map(({ name }) => name),
  )
  const isExported = (name: string) => constants.has(name) || new RegExp(`\\b${name}\\b`).test(index)
  const describe = (declaration: Declaration): string => {
    const { kind, name, documentation, signature } = declaration
    const parts = [`### ${name}`, paragraphs(documentation)]
    if (signature !== '') parts.push(`\`\`\`ts\n${signature.trim()}\n\`\`\``)
    if (kind === 'class' || kind === 'interface') {
      parts.push(
        inherited(declaration)
          .map(
            (member) =>
              `- \`${member.signature}\`${member.documentation === '' ? '' : `  \n  ${paragraphs(member.documentation).replaceAll('\n', '\n  ')}`}`,
          )
          .join('\n'),
      )
    }
    return parts.filter((part) => part !== '').join('\n\n')
  }
  const section = (title: string, kinds: readonly string[], intro: string) => {
    const chosen = all.filter(({ kind, name }) => kinds.includes(kind) && isExported(name))
    const sorted = [...chosen].sort((a, b) => (a.name < b.name ? -1 : 1))
    return `## ${title}\n\n${intro}\n\n${sorted.map(describe).join('\n\n')}`
  }
  return [
    '# API\n\nMade from the source by `node docs/generate.ts`. How it is used: [README](../README.md).',
    section('Classes', ['class'], 'Every method takes `CallOptions` last, and rejects with one of the five errors.'),
    section('Options and results', ['interface', 'type'], 'Plain objects.'),
    section('Constants', ['const'], "libvirt's own numbers, under its own names."),
  ]
    .join('\n\n')
    .concat('\n')
}

export const apiPage = { path: join(import.meta.dirname, 'api.md'), make: page } as const

if (import.meta.main) writeFileSync(apiPage.path, apiPage.make())
