/** What the documentation's test reads of a Markdown file. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../setup/directories.mjs'

const notOurs = new Set(['node_modules', '.cache', '.run', '.git', 'coverage'])

/** Paths of the Markdown files of the checkout, below its root. */
export const markdownFiles = (): readonly string[] =>
  globSync('**/*.md', { cwd: root, exclude: (name) => notOurs.has(name) }).toSorted()

export const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The text without what is quoted as code. */
const prose = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '')

/** Targets of links that lead to files of the checkout, or within the page. */
export const relativeLinks = (text: string): readonly string[] =>
  [...prose(text).matchAll(/\]\(([^()\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))

/** The fragments that a page can be linked to by, as GitHub and its likes make them of headings. */
export const anchors = (text: string): readonly string[] =>
  [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .replace(/[`*]/g, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  )

/** Cells of the rows of all tables, without their headings. */
export const tableRows = (text: string): readonly (readonly string[])[] =>
  [...text.matchAll(/^\|(.+)\|$/gm)]
    .map(([, row = '']) => row.split('|').map((cell) => cell.trim()))
    .filter((cells) => !cells.every((cell) => /^:?-+:?$/.test(cell)))
