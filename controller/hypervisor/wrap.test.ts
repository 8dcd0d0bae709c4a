import { describe, expect, jest, test } from '@jest/globals'
import { BerthError } from '../errors/index.ts'
import type { CallOptions, ImageContent, Session } from './port.ts'
import { guarded, limited, mutations, observed, reads } from './wrap.ts'

/** A session whose calls are recorded and end when they are told to. */
class Recorder {
  readonly calls: string[] = []
  readonly #answers: (() => void)[] = []
  readonly #secret = 'private fields need the session itself'
  readonly session: Session

  constructor(held = false) {
    const recorder = this
    const method = (name: string) =>
      function (this: unknown, ...args: readonly unknown[]) {
        recorder.calls.push(`${name}(${args.filter((arg) => typeof arg === 'string').join(',')})`)
        return held ? new Promise<void>((resolve) => recorder.#answers.push(resolve)) : Promise.resolve(name)
      }
    const methods = Object.fromEntries([...mutations, ...reads].map((name) => [name, method(name)]))
    this.session = {
      ...methods,
      information: { id: 'host' },
      closed: Promise.resolve(undefined),
      close: async () => void recorder.calls.push(recorder.#secret),
    } as unknown as Session
  }

  answer(): void {
    this.#answers.shift()?.()
  }
}

const call = (session: Session, method: string): Promise<unknown> =>
  (session as unknown as Record<string, (id: string) => Promise<unknown>>)[method]?.('i') ?? Promise.reject()

describe('the list of mutations', () => {
  test('with the reads it is every method that asks the host', () => {
    // Fails to compile when the port has a method that is in neither list.
    const rest: Record<Exclude<keyof Session, (typeof mutations)[number] | (typeof reads)[number]>, true> = {
      information: true,
      events: true,
      closed: true,
      close: true,
    }
    expect(new Set([...mutations, ...reads, ...Object.keys(rest)]).size).toBe(mutations.length + reads.length + 4)
  })
})

describe('guarded', () => {
  const guard = { check: jest.fn() }
  const deposed = () => {
    throw new BerthError('NotLeader', 'deposed')
  }

  test.each(mutations.filter((name) => name !== 'placeImage'))('%s is not sent by a deposed leader', async (name) => {
    const recorder = new Recorder()
    const session = guarded(recorder.session, { check: deposed })
    await expect(call(session, name)).rejects.toMatchObject({ code: 'NotLeader' })
    expect(recorder.calls).toEqual([])
  })

  test.each(reads)('%s may be asked by anyone', async (name) => {
    const recorder = new Recorder()
    await call(guarded(recorder.session, { check: deposed }), name)
    expect(recorder.calls).toEqual([`${name}(i)`])
  })

  test.each([
    ['define', [{ tag: {} }]],
    ['start', ['i', { signal: new AbortController().signal }]],
    ['deleteVolume', ['i', 'pool', 'volume']],
  ] as const)('%s: deposed between two requests of one call: the second is not sent', async (name, args) => {
    const sent: unknown[] = []
    let leads = true
    const method = async (...given: readonly unknown[]) => {
      const { beforeSend, ...options } = given.at(-1) as CallOptions
      expect([...given.slice(0, -1), options]).toEqual(
        typeof args.at(-1) === 'object' && args.length > 1 ? args : [...args, {}],
      )
      for (const request of ['read', 'change']) {
        beforeSend?.()
        sent.push(request)
        leads = false
      }
    }
    const check = () => {
      if (!leads) deposed()
    }
    const session = guarded({ [name]: method } as unknown as Session, { check })
    const calling = (session[name] as (...given: readonly unknown[]) => Promise<void>)(...args)
    await expect(calling).rejects.toMatchObject({ code: 'NotLeader' })
    expect(sent).toEqual(['read'])
  })

  test('a leader that is deposed while an image is sent sends no more, and no marker', async () => {
    const sent: string[] = []
    const session = {
      async placeImage(_pool: string, content: ImageContent) {
        for await (const part of content.open()) sent.push(Buffer.from(part).toString())
        sent.push('marker')
      },
    } as unknown as Session
    guard.check.mockReset()
    const content: ImageContent = {
      digest: 'd',
      length: 2,
      format: 'raw',
      async *open() {
        yield Buffer.from('1')
        guard.check.mockImplementation(deposed)
        yield Buffer.from('2')
      },
    }
    const placing = guarded(session, guard).placeImage('p', content, () => undefined)
    await expect(placing).rejects.toMatchObject({ code: 'NotLeader' })
    expect(sent).toEqual(['1'])
  })

  test('deposed after the last part: still no marker', async () => {
    const sent: string[] = []
    let leads = true
    const session = {
      async placeImage(_pool: string, content: ImageContent) {
        for await (const part of content.open()) sent.push(Buffer.from(part).toString())
        sent.push('marker')
      },
    } as unknown as Session
    const content: ImageContent = {
      digest: 'd',
      length: 1,
      format: 'raw',
      async *open() {
        yield Buffer.from('1')
        leads = false
      },
    }
    const check = () => {
      if (!leads) deposed()
    }
    await expect(guarded(session, { check }).placeImage('p', content, () => undefined)).rejects.toThrow('deposed')
    expect(sent).toEqual(['1'])
  })

  test('deposed while the host confirms the content: still no marker', async () => {
    const done: string[] = []
    let leads = true
    const session = {
      async placeImage(_pool: string, content: ImageContent) {
        for await (const part of content.open()) done.push(Buffer.from(part).toString())
        leads = false
        content.beforeMarker?.()
        done.push('marker')
      },
    } as unknown as Session
    const content: ImageContent = {
      digest: 'd',
      length: 1,
      format: 'raw',
      async *open() {
        yield Buffer.from('1')
      },
      beforeMarker: () => done.push('its own hook'),
    }
    const check = () => {
      if (!leads) deposed()
    }
    await expect(guarded(session, { check }).placeImage('p', content, () => undefined)).rejects.toThrow('deposed')
    expect(done).toEqual(['1', 'its own hook'])
  })

  test('properties and other methods go through', async () => {
    const recorder = new Recorder()
    const session = guarded(recorder.session, { check: deposed })
    expect(session.information.id).toBe('host')
    expect(await session.closed).toBeUndefined()
    await session.close()
    expect(recorder.calls).toEqual(['private fields need the session itself'])
  })
})

describe('limited', () => {
  test('so many mutations at a time, the others in order, reads at once', async () => {
    const recorder = new Recorder(true)
    const session = limited(recorder.session, 2)
    const all = ['a', 'b', 'c', 'd'].map((id) => session.start(id))
    void session.observe('r')
    await new Promise(setImmediate)
    expect(recorder.calls).toEqual(['observe(r)', 'start(a)', 'start(b)'])
    recorder.answer()
    recorder.answer()
    recorder.answer()
    await Promise.all(all.slice(0, 2))
    await new Promise(setImmediate)
    expect(recorder.calls.slice(3)).toEqual(['start(c)', 'start(d)'])
    recorder.answer()
    recorder.answer()
    await Promise.all(all)
  })

  test('transfers of images do not hold up starts', async () => {
    const recorder = new Recorder(true)
    const session = limited(recorder.session, 1)
    void call(session, 'placeImage')
    void session.start('a')
    await new Promise(setImmediate)
    expect(recorder.calls).toEqual(['placeImage(i)', 'start(a)'])
  })

  test('a failed call gives its place back', async () => {
    const start = jest.fn<(id: string) => Promise<void>>().mockRejectedValue(new BerthError('HypervisorBusy', 'busy'))
    const session = limited({ start } as unknown as Session, 1)
    await expect(session.start('a')).rejects.toThrow('busy')
    await expect(session.start('b')).rejects.toThrow('busy')
    expect(start).toHaveBeenCalledTimes(2)
  })

  test('a call whose signal ends while it waits is never sent, and is not ambiguous', async () => {
    const recorder = new Recorder(true)
    const session = limited(recorder.session, 1)
    const first = session.start('a')
    const controller = new AbortController()
    const second = session.start('b', { signal: controller.signal })
    const third = session.start('c')
    await new Promise(setImmediate)
    controller.abort()
    await expect(second).rejects.toMatchObject({ code: 'HypervisorBusy' })
    recorder.answer()
    await first
    await new Promise(setImmediate)
    expect(recorder.calls).toEqual(['start(a)', 'start(c)'])
    recorder.answer()
    await third
  })

  test.each([0, -1, 1.5, Number.NaN])('%d is no limit', (limit) => {
    expect(() => limited(new Recorder().session, limit)).toThrow(RangeError)
  })
})

describe('observed', () => {
  test('tells method, outcome and time of each call, and changes neither', async () => {
    const told: unknown[] = []
    const failing = { observe: () => Promise.reject(new BerthError('HypervisorUnreachable', 'away')) }
    const session = observed({ ...new Recorder().session, ...failing } as Session, (one) => told.push(one))
    await session.start('a')
    await expect(session.observe('a')).rejects.toThrow('away')
    expect(told).toEqual([
      { method: 'start', seconds: expect.any(Number), outcome: 'Success' },
      { method: 'observe', seconds: expect.any(Number), outcome: 'HypervisorUnreachable' },
    ])
  })
})
