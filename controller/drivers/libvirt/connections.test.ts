import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { Connection } from 'node-libvirt'
import { Connections } from './connections.ts'

/** What `Connections` needs of a connection. */
class FakeConnection {
  isAlive = true
  readonly #host: string

  constructor(host: string) {
    this.#host = host
  }

  async getCapabilities(): Promise<string> {
    return `<capabilities><host><uuid>${this.#host}</uuid></host></capabilities>`
  }

  async close(): Promise<void> {
    this.isAlive = false
  }
}

function opening(...hosts: readonly (string | Error)[]): FakeConnection[] {
  const opened: FakeConnection[] = []
  const answers = [...hosts]
  jest.spyOn(Connection, 'open').mockImplementation(async () => {
    const host = answers.shift()
    if (host === undefined || host instanceof Error) throw host ?? new Error('opened once too often')
    const connection = new FakeConnection(host)
    opened.push(connection)
    return connection as unknown as Connection
  })
  return opened
}

afterEach(() => {
  jest.restoreAllMocks()
})

describe('connections to one daemon', () => {
  test('one for each purpose, opened when needed, shared by all who ask at once', async () => {
    const opened = opening('h', 'h')
    const connections = await Connections.open('qemu:///system', {})
    expect(opened).toHaveLength(1)
    const [one, other] = await Promise.all([connections.for('operations'), connections.for('operations')])
    expect(one).toBe(other)
    expect(one).not.toBe(connections.main)
    expect(opened).toHaveLength(2)
  })

  test('one that was lost, or could not be opened, is opened anew', async () => {
    const opened = opening('h', new Error('refused'), 'h', 'h')
    const connections = await Connections.open('qemu:///system', {})
    await expect(connections.for('transfers')).rejects.toThrow('refused')
    const first = await connections.for('transfers')
    await opened[1]?.close()
    const second = await connections.for('transfers')
    expect(second).not.toBe(first)
    expect(second.isAlive).toBe(true)
  })

  test('another host behind the same name is left at once', async () => {
    const opened = opening('h', 'another')
    const connections = await Connections.open('qemu:///system', {})
    await expect(connections.for('operations')).rejects.toMatchObject({ code: 'DifferentHost' })
    expect(opened[1]?.isAlive).toBe(false)
  })

  test('close closes all, and nothing is opened after it', async () => {
    const opened = opening('h', 'h')
    const connections = await Connections.open('qemu:///system', {})
    await connections.for('operations')
    await connections.close()
    expect(opened.map(({ isAlive }) => isAlive)).toEqual([false, false])
    expect(await connections.for('transfers')).toBe(connections.main)
  })
})
