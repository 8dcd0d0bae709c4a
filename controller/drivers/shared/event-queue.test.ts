import { describe, expect, test } from '@jest/globals'
import type { HypervisorEvent } from '../../hypervisor/port.ts'
import { EventQueue } from './event-queue.ts'

const event = (id: string): HypervisorEvent => ({ type: 'Machine', id, detail: '' })

async function readAll(queue: EventQueue): Promise<HypervisorEvent[]> {
  const found: HypervisorEvent[] = []
  for await (const one of queue) found.push(one)
  return found
}

describe('events on their way', () => {
  test('come in order, those that waited before the end too, and none after it', async () => {
    const queue = new EventQueue(10)
    const reading = readAll(queue)
    queue.add(event('a'))
    await Promise.resolve()
    queue.add(event('b'))
    queue.end()
    queue.add(event('c'))
    expect((await reading).map((one) => one.type === 'Machine' && one.id)).toEqual(['a', 'b'])
  })

  test('a slow reader gets a Gap instead of more than can wait', async () => {
    const queue = new EventQueue(3)
    for (const id of ['a', 'b', 'c', 'd', 'e']) queue.add(event(id))
    queue.end()
    const found = await readAll(queue)
    expect(found.map((one) => one.type)).toEqual(['Gap', 'Machine', 'Machine'])
    expect(found.slice(1)).toEqual([event('d'), event('e')])
  })

  test('end with the reason of the loss, once what waited was read', async () => {
    const queue = new EventQueue(3)
    queue.add(event('a'))
    queue.end(new Error('lost'))
    queue.end()
    const found: HypervisorEvent[] = []
    const reading = (async () => {
      for await (const one of queue) found.push(one)
    })()
    await expect(reading).rejects.toThrow('lost')
    expect(found).toEqual([event('a')])
  })
})
