import { readdir, readFile, writeFile, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { kinds } from '../../controller/api/kinds/all.ts'
import { group } from '../../controller/api/names.ts'
import { crdOf } from './crd.ts'

const header = '# Generated from controller/api by `npm run generate`. Do not edit.\n'

/** File name → content, for every kind. The same input gives the same bytes. */
export const generate = (): ReadonlyMap<string, string> =>
  new Map(kinds.map((definition) => [`${group}_${definition.plural}.yaml`, header + print(crdOf(definition))]))

/** kubectl reads YAML 1.1, in which `y`, `on` and 2026-11-21 are no strings unless quoted. */
const print = (value: unknown): string =>
  stringify(value, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false, keepUndefined: false })

/** Names of files in `folder` that are not as generated: changed, missing, or left over. */
export async function drift(folder: string): Promise<readonly string[]> {
  const wanted = generate()
  const present = new Set(await namesIn(folder))
  const stale = [...present].filter((name) => !wanted.has(name))
  const changed: string[] = []
  for (const [name, content] of wanted) {
    if (!present.has(name) || (await readFile(join(folder, name), 'utf8')) !== content) changed.push(name)
  }
  return [...stale, ...changed].toSorted()
}

export async function write(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const wanted = generate()
  for (const name of await namesIn(folder)) if (!wanted.has(name)) await rm(join(folder, name))
  for (const [name, content] of wanted) await writeFile(join(folder, name), content)
}

const namesIn = async (folder: string): Promise<readonly string[]> => {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.yaml'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
