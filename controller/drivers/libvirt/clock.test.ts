import { expect, test } from '@jest/globals'
import { type CallOptions, type Connection, LibvirtError, SetTimeFlags } from 'node-libvirt'
import { BerthError } from '../../errors/index.ts'
import { setGuestClock } from './clock.ts'

/** A guest whose agent answers as `answer` does; `sent` has what was asked of it. */
function guest(answer: () => Promise<void> = async () => undefined) {
  const sent: unknown[] = []
  const send = (name: string, value: unknown, { beforeSend }: CallOptions) => {
    beforeSend?.()
    sent.push([name, value])
  }
  const connection = {
    lookupDomainByUUID: async (_id: string, options: CallOptions) => {
      options.beforeSend?.()
      return {
        setAgentResponseTimeout: async (seconds: number, calls: CallOptions) => send('patience', seconds, calls),
        setTime: async (_time: unknown, flags: number, calls: CallOptions) => {
          send('setTime', flags, calls)
          await answer()
        },
      }
    },
  } as unknown as Connection
  return { sent, connect: async () => connection }
}

test('by the machine’s hardware clock, and libvirt gives up before we do', async () => {
  const { sent, connect } = guest()
  await setGuestClock('id', connect)
  expect(sent).toEqual([
    ['patience', 4],
    ['setTime', SetTimeFlags.SYNC],
  ])
})

test('no agent, or no connection for it: nothing, as the machine goes on already', async () => {
  const { connect } = guest(async () => {
    throw new LibvirtError('Guest agent is not responding', {
      code: 86,
      domain: 0,
      level: 2,
      procedure: 'domain_set_time',
    })
  })
  await setGuestClock('id', connect)
  await setGuestClock('id', async () => {
    throw new Error('connection refused')
  })
})

test('a leader that was deposed meanwhile asks nothing more of the guest, and is told', async () => {
  const { sent, connect } = guest()
  let requests = 0
  const beforeSend = () => {
    if (requests++ > 0) throw new BerthError('NotLeader', 'deposed')
  }
  await expect(setGuestClock('id', connect, { beforeSend })).rejects.toMatchObject({ code: 'NotLeader' })
  expect(sent).toEqual([])
})
