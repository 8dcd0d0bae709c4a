import { readFileSync } from 'node:fs'
import { expect, it } from '@jest/globals'
import * as api from '../index.ts'
import { apiPage } from './generate.ts'

it('the page is that of the source: run `node docs/generate.ts`', () => {
  expect(readFileSync(apiPage.path, 'utf8')).toBe(apiPage.make())
})

it.each(Object.keys(api).filter((name) => name !== 'errorName'))('has %s', (name) => {
  expect(apiPage.make()).toContain(`\n### ${name}\n`)
})

const { Connection, Domain, DomainSnapshot, StorageVolume } = api

it.each([Connection, Domain, DomainSnapshot, StorageVolume])('has every method of %p', ({ name, prototype }) => {
  const section = new RegExp(`\n### ${name}\n[\\s\\S]*?\n### `).exec(apiPage.make())?.[0] ?? ''
  const methods = new Set<string>()
  for (let of: object = prototype; of !== Object.prototype; of = Object.getPrototypeOf(of)) {
    for (const [method, { value }] of Object.entries(Object.getOwnPropertyDescriptors(of))) {
      if (typeof value === 'function' && method !== 'constructor') methods.add(method)
    }
  }
  expect(
    [...methods].filter((method) => !section.includes(`- \`${method}(`) && !section.includes(`- \`${method}<`)),
  ).toEqual([])
})
