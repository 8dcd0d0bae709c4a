import { describe, expect, test } from '@jest/globals'
import { computerIDIn, nameID } from './host-id.ts'

describe('the id of a host whose capabilities have none', () => {
  test('is that of the computer among its devices', () => {
    const device = (inside: string) =>
      `<device><name>computer</name><capability type='system'>${inside}</capability></device>`
    const uuid = '1c334c86-2f05-4507-9ed9-581fd9dc6b08'
    expect(computerIDIn(device(`<hardware><vendor>x</vendor><uuid>${uuid}</uuid></hardware>`))).toBe(uuid)
    expect(computerIDIn(device('<product>x</product>'))).toBe('')
  })

  test('or made from its name: a UUID, always the same, and another for another name', () => {
    expect(nameID('xen1')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(nameID('xen1')).toBe(nameID('xen1'))
    expect(nameID('xen2')).not.toBe(nameID('xen1'))
  })
})
