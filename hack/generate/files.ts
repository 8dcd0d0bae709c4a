import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { kinds } from '../../controller/api/kinds/all.ts'
import { group } from '../../controller/api/names.ts'
import { chartFolder, inChart, templateOf } from './chart.ts'
import { crdOf } from './crd.ts'
import { fillPage, pageOf } from './docs.ts'
import { errorsPage, errorsPagePath } from './errors-page.ts'

const header = '# Generated from controller/api by `npm run generate`. Do not edit.\n'

/** Folders in which everything is generated. */
const folders = ['crds', chartFolder]

/**
 * Path below `root` → content. For every kind: its CRD, the chart's template of it, and its page with the tables brought
 * up to date; beside them the page of errors. The same input gives the same bytes.
 */
export async function generate(root: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  for (const definition of kinds) {
    const crd = crdOf(definition)
    const name = `${group}_${definition.plural}.yaml`
    files.set(`crds/${name}`, header + print(crd))
    files.set(`${chartFolder}/${name}`, templateOf(header + print(inChart(crd))))
    const page = pageOf(definition)
    files.set(page, fillPage(await readFile(join(root, page), 'utf8'), crd))
  }
  files.set(errorsPagePath, errorsPage())
  return files
}

/** kubectl reads YAML 1.1, in which `y`, `on` and 2026-11-21 are no strings unless quoted. */
const print = (value: unknown): string =>
  stringify(value, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false, keepUndefined: false })

/** Files that are not as generated: changed, missing, or left over. */
export async function drift(root: string): Promise<readonly string[]> {
  const wanted = await generate(root)
  const changed: string[] = []
  for (const [path, content] of wanted) if ((await contentOf(join(root, path))) !== content) changed.push(path)
  return [...changed, ...(await leftOver(root, wanted))].toSorted()
}

export async function write(root: string): Promise<void> {
  const wanted = await generate(root)
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true })
  for (const path of await leftOver(root, wanted)) await rm(join(root, path))
  for (const [path, content] of wanted) await writeFile(join(root, path), content)
}

const leftOver = async (root: string, wanted: ReadonlyMap<string, string>): Promise<readonly string[]> => {
  const there = await Promise.all(
    folders.map(async (folder) =>
      (await unlessMissing(readdir(join(root, folder)), [])).map((name) => `${folder}/${name}`),
    ),
  )
  return there.flat().filter((path) => path.endsWith('.yaml') && !wanted.has(path))
}

const contentOf = (path: string): Promise<string | undefined> => unlessMissing(readFile(path, 'utf8'), undefined)

const unlessMissing = async <T, U>(answer: Promise<T>, otherwise: U): Promise<T | U> => {
  try {
    return await answer
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise
    throw error
  }
}
