import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { Connection, type ConnectionOptions } from '../connection.ts'
import { ErrorCode } from '../error-codes.ts'
import { TestServer } from '../testing/server.ts'

// What a real libvirtd says is in test/contract/libvirt-transports.test.ts.

let server: TestServer

beforeEach(async () => {
  server = await TestServer.start()
})

afterEach(async () => {
  await server[Symbol.asyncDispose]()
})

const sasl = { username: 'user', password: 'SECRET' }
const bytes = (text: string) => Array.from(Buffer.from(text))

const opening = async (options: ConnectionOptions = { sasl }): Promise<unknown> => {
  try {
    const connection = await Connection.open(server.uri, options)
    await connection.close()
    return 'opened'
  } catch (error) {
    expect(String(error)).not.toContain('SECRET')
    return error
  }
}

const demandSASL = (mechlist: string) => {
  server.on('auth_list', (call) => call.reply({ types: [1] }))
  server.on('auth_sasl_init', (call) => call.reply({ mechlist }))
}

it('polkit: asks the server to ask it', async () => {
  server.on('auth_list', (call) => call.reply({ types: [2] }))
  server.on('auth_polkit', (call) => call.reply({ complete: 1 }))
  expect(await opening({})).toBe('opened')
  server.on('auth_polkit', (call) => call.fail(ErrorCode.AUTH_FAILED, 'access denied by policy'))
  expect(await opening({})).toMatchObject({ phase: 'open', reason: 'AuthenticationFailed' })
})

it('SASL: sends a password as it is where nothing better is offered and nobody can listen', async () => {
  demandSASL('DIGEST-MD5,PLAIN')
  let sent = ''
  server.on('auth_sasl_start', (call) => {
    sent = `${call.args.mech} ${Buffer.from(call.args.data)}`
    call.reply({ complete: 1, nil: 1, data: [] })
  })
  expect(await opening()).toBe('opened')
  expect(sent).toBe('PLAIN \0user\0SECRET')
})

it('SASL: takes SCRAM before PLAIN, and believes no server that only says that all is well', async () => {
  demandSASL('PLAIN SCRAM-SHA-1 SCRAM-SHA-256')
  let mechanism = ''
  server.on('auth_sasl_start', (call) => {
    mechanism = call.args.mech
    call.reply({ complete: 1, nil: 1, data: [] })
  })
  expect(await opening()).toMatchObject({ phase: 'open', reason: 'AuthenticationFailed' })
  expect(mechanism).toBe('SCRAM-SHA-256')
})

it('SASL: believes no server that takes our proof and shows none of its own', async () => {
  demandSASL('SCRAM-SHA-256')
  server.on('auth_sasl_start', (call) => {
    const nonce = /r=(.*)$/.exec(Buffer.from(call.args.data).toString())?.[1]
    call.reply({ complete: 0, nil: 0, data: bytes(`r=${nonce}more,s=c2FsdA==,i=4096`) })
  })
  server.on('auth_sasl_step', (call) => call.reply({ complete: 1, nil: 0, data: bytes('v=AAAA') }))
  expect(await opening()).toMatchObject({ phase: 'open', reason: 'AuthenticationFailed' })
})

it('SASL: says that no mechanism is shared, and that a user is missing', async () => {
  demandSASL('GSSAPI,DIGEST-MD5')
  expect(await opening()).toMatchObject({ reason: 'AuthenticationUnsupported' })
  expect(await opening({})).toMatchObject({ reason: 'AuthenticationFailed' })
})
