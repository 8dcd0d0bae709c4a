import { Writable } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import { Sender } from './sender.ts'

/** A socket whose writes end when the test says so. */
class SlowSocket extends Writable {
  readonly written: string[] = []
  #done: (() => void) | undefined

  constructor() {
    super({ highWaterMark: 1 })
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(chunk.toString())
    this.#done = done
  }

  /** Ends the write under way, and lets what follows from it happen. */
  async drain(): Promise<void> {
    this.#done?.()
    await new Promise(setImmediate)
  }
}

const message = (text: string) => ({ bytes: Buffer.from(text) })

describe('Sender', () => {
  it('has never more than one message with the socket, so that two cannot share a TLS record', async () => {
    const socket = new SlowSocket()
    const sender = new Sender(socket)
    for (const text of ['a', 'b', 'c']) sender.send(message(text))
    expect(socket.writableLength).toBe(1)
    await socket.drain()
    expect(socket.written).toEqual(['a', 'b'])
    expect(socket.writableLength).toBe(1)
    await socket.drain()
    await socket.drain()
    expect(socket.written).toEqual(['a', 'b', 'c'])
  })

  it('lets calls overtake the data of streams, which would hold up replies and keepalive', async () => {
    const socket = new SlowSocket()
    const sender = new Sender(socket)
    sender.send(message('data1'), true)
    sender.send(message('data2'), true)
    sender.send(message('call'))
    await socket.drain()
    await socket.drain()
    expect(socket.written).toEqual(['data1', 'call', 'data2'])
  })

  it('takes back a message that has not started', async () => {
    const socket = new SlowSocket()
    const sender = new Sender(socket)
    const [first, second, third] = [message('1'), message('2'), message('3')]
    sender.send(first)
    sender.send(second)
    sender.send(third)
    sender.cancel(first)
    sender.cancel(second)
    await socket.drain()
    expect(socket.written).toEqual(['1', '3'])
  })
})
