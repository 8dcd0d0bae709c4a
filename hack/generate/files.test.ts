import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { kinds } from '../../controller/api/kinds/all.ts'
import { pageOf } from './docs.ts'
import { drift, generate, write } from './files.ts'

const root = join(import.meta.dirname, '../..')

test('crds/, the chart’s templates of them and docs/kinds/ are what the schemas say: run `npm run generate`', async () => {
  expect(await drift(root)).toEqual([])
})

test('generating twice gives the same bytes', async () => {
  expect([...(await generate(root))]).toEqual([...(await generate(root))])
}, 60_000)

test('each CRD is small enough to be put into a chart: 256 KiB', async () => {
  for (const [path, content] of await generate(root)) {
    if (path.startsWith('crds/')) expect(Buffer.byteLength(content)).toBeLessThan(256 * 1024)
  }
})

test('YAML 1.1 and 1.2 read the same, so kubectl sees what was meant', async () => {
  for (const [path, content] of await generate(root)) {
    if (path.startsWith('crds/')) expect(parse(content, { version: '1.1' })).toEqual(parse(content, { version: '1.2' }))
  }
})

test.each(kinds.map((definition) => [definition.kind, definition] as const))(
  'the page of %s names every field of its schema',
  async (_, definition) => {
    const page = await readFile(join(root, pageOf(definition)), 'utf8')
    const paths = [...pathsOf(definition.spec, 'spec'), ...pathsOf(definition.status, 'status')]
    expect(paths.filter((path) => !page.includes(`\`${path}\``))).toEqual([])
  },
)

/** By TypeBox's own schema, not by the structural one that the pages are made from. */
function pathsOf(schema: unknown, path: string): readonly string[] {
  const { properties = {}, items } = (schema ?? {}) as { properties?: Record<string, unknown>; items?: unknown }
  if (items !== undefined) return pathsOf(items, `${path}[]`)
  return Object.entries(properties).flatMap(([name, field]) => [
    `${path}.${name}`,
    ...pathsOf(field, `${path}.${name}`),
  ])
}

describe('drift', () => {
  let copy: string
  beforeEach(async () => {
    copy = await mkdtemp(join(tmpdir(), 'berth-generate-'))
    await cp(join(root, 'docs/kinds'), join(copy, 'docs/kinds'), { recursive: true })
    await write(copy)
  })
  afterEach(() => rm(copy, { recursive: true }))

  test('is none after writing', async () => {
    expect(await drift(copy)).toEqual([])
  })

  test('is a file that was edited, one that is missing, and one that is left over', async () => {
    await writeFile(join(copy, 'crds/berth.dev_slots.yaml'), 'edited')
    await rm(join(copy, 'crds/berth.dev_images.yaml'))
    await writeFile(join(copy, 'crds/berth.dev_gone.yaml'), 'left over')
    await writeFile(join(copy, 'helm/berth/templates/crds/berth.dev_slots.yaml'), 'edited')
    await writeFile(join(copy, 'helm/berth/templates/crds/berth.dev_gone.yaml'), 'left over')
    expect(await drift(copy)).toEqual([
      'crds/berth.dev_gone.yaml',
      'crds/berth.dev_images.yaml',
      'crds/berth.dev_slots.yaml',
      'helm/berth/templates/crds/berth.dev_gone.yaml',
      'helm/berth/templates/crds/berth.dev_slots.yaml',
    ])
    await write(copy)
    expect(await drift(copy)).toEqual([])
  })

  test('is a table in a page that someone edited', async () => {
    const path = join(copy, 'docs/kinds/slot.md')
    await writeFile(path, (await readFile(path, 'utf8')).replace('`spec.cpus`', '`spec.cores`'))
    expect(await drift(copy)).toEqual(['docs/kinds/slot.md'])
  })

  test('a page that lost its marks is refused rather than left without a table', async () => {
    const path = join(copy, 'docs/kinds/slot.md')
    await writeFile(path, (await readFile(path, 'utf8')).replace('<!-- end: status -->', ''))
    await expect(drift(copy)).rejects.toThrow('the page of Slot has no marks for status')
  })
})
