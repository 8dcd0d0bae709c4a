import { describe, expect, test } from '@jest/globals'
import type { Tag } from '../../hypervisor/port.ts'
import { blocked, unblocked } from './definition.ts'
import { isParked, parkedReason, requireIdle, sight, startOperations, type VM } from './machines.ts'
import { keys, tagMap } from './tag.ts'

const instanceID = '0c1f6f4e-6a2c-4a44-9a5e-6c3f0c1d2e3f'
const tag: Tag = { schema: 1, cluster: 'c', namespace: 'n', name: 'm', uid: 'u', instanceID, owner: '', slot: 's' }
const parked = Object.fromEntries(startOperations.map((operation) => [operation, parkedReason]))

function vm(uuid: string, { whole = true, ...changes }: Partial<VM> & { readonly whole?: boolean } = {}): VM {
  return {
    ref: `OpaqueRef:${uuid}`,
    uuid,
    name_label: `vm ${uuid}`,
    power_state: 'Halted',
    current_operations: {},
    blocked_operations: {},
    other_config: { ...tagMap(tag), ...(whole ? { [keys.self]: uuid } : {}) },
    ...changes,
  } as VM
}

describe('which VM is the machine of an instance', () => {
  test.each<[string, readonly VM[], string, readonly string[]]>([
    ['the one', [vm('a')], 'a', []],
    [
      'a whole one, not one of a lost call',
      [vm('a', { whole: false, blocked_operations: parked }), vm('b')],
      'b',
      ['a'],
    ],
    ['one that runs, whatever its UUID', [vm('a'), vm('b', { power_state: 'Running' })], 'b', ['a']],
    ['one that is open, not one that is parked', [vm('a', { blocked_operations: parked }), vm('b')], 'b', ['a']],
    ['the lowest UUID of two alike', [vm('b', { whole: false }), vm('a', { whole: false })], 'a', ['b']],
    ['never a copy', [vm('a', { other_config: { ...tagMap(tag), [keys.self]: 'b' } }), vm('b')], 'b', []],
  ])('%s', (_, vms, own, surplus) => {
    for (const order of [vms, vms.toReversed()]) {
      const seen = sight(order, instanceID)
      expect(seen.own?.vm.uuid).toBe(own)
      expect(seen.surplus.map(({ uuid }) => uuid)).toEqual(surplus)
    }
  })

  test.each([
    ['another schema', { [keys.schema]: '2' }],
    ['half a tag', { 'berth.dev/slot': undefined as unknown as string }],
  ])('%s makes it foreign, even beside one of ours', (_, changes) => {
    const foreign = vm('x', { other_config: { ...tagMap(tag), ...changes, [keys.self]: 'x' } })
    const seen = sight([foreign, vm('a')], instanceID)
    expect(seen.own).toBeUndefined()
    expect(seen.foreign).toContain('vm x')
  })

  test('a VM of another instance, and one without a tag, are nothing to it', () => {
    expect(sight([vm('a', { other_config: {} })], instanceID)).toEqual({ surplus: [] })
    expect(sight([vm('a')], '1c1f6f4e-6a2c-4a44-9a5e-6c3f0c1d2e3f')).toEqual({ surplus: [] })
  })
})

test('parked is refused every way of starting, and by us', () => {
  expect(isParked(vm('a', { blocked_operations: parked }))).toBe(true)
  for (const operation of startOperations) {
    const { [operation]: _, ...some } = parked
    expect(isParked(vm('a', { blocked_operations: some }))).toBe(false)
    expect(isParked(vm('a', { blocked_operations: { ...parked, [operation]: 'by another' } }))).toBe(false)
    // It was let in before, and goes on.
    const current_operations = { 'OpaqueRef:task': operation }
    expect(isParked(vm('a', { blocked_operations: parked, current_operations }))).toBe(false)
  }
})

test('what others block has their own words again after parking, however often it was parked', () => {
  const before = { start: 'under repair', pause: 'never' }
  const after = blocked(blocked(before))
  expect(isParked(vm('a', { blocked_operations: after }))).toBe(true)
  expect(after.start).toContain('under repair')
  expect(unblocked(after)).toEqual(before)
})

test('nothing is begun on a machine that the pool is at work on, but for what is allowed', () => {
  const busy = vm('a', { current_operations: { 'OpaqueRef:task': 'clean_shutdown' } })
  expect(() => requireIdle(busy)).toThrow('clean_shutdown')
  expect(() => requireIdle(busy, 'clean_shutdown')).not.toThrow()
})

test.each(['\u0000', '\u001b', '\uffff', '\ud800'])('a tag with %j cannot be stored', (character) => {
  expect(() => tagMap({ ...tag, owner: `User:${character}` })).toThrow('XAPI cannot store berth.dev/owner')
})
