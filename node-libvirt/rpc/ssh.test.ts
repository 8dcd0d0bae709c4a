import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import ssh2, { type AuthContext, type Server, type Connection as SSHConnection } from 'ssh2'
import { Connection, type ConnectionOptions } from '../connection.ts'
import { TestServer } from '../testing/server.ts'

// An SSH server of ours, for what OpenSSH does only when it is ill; the rest is in
// test/contract/libvirt-transports.test.ts.

const keys = ssh2.utils.generateKeyPairSync('ed25519')
let libvirt: TestServer
let server: Server
let clients: SSHConnection[]
let login: (context: AuthContext) => void
let forward: 'Accept' | 'Forbid' | 'Ignore'

beforeEach(async () => {
  libvirt = await TestServer.start()
  clients = []
  login = (context) => context.accept()
  forward = 'Accept'
  server = new ssh2.Server({ hostKeys: [keys.private] }, (client) => {
    clients.push(client)
    client.on('error', () => {})
    client.on('authentication', (context) => login(context))
    client.on('openssh.streamlocal' as 'tcpip', (accept, reject) => {
      if (forward === 'Forbid') reject?.()
      if (forward !== 'Accept') return
      const channel = accept()
      const socket = libvirt.dial()
      channel.pipe(socket).pipe(channel)
      socket.on('error', () => channel.close()).on('close', () => channel.close())
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(async () => {
  for (const client of clients) client.end()
  await new Promise((resolve) => server.close(resolve))
  await libvirt[Symbol.asyncDispose]()
})

const connect = (options: Partial<ConnectionOptions> = {}): Promise<Connection> => {
  const { port } = server.address() as AddressInfo
  const ssh = { knownHosts: `[127.0.0.1]:${port} ${keys.public}`, username: 'user', password: 'SECRET' }
  return Connection.open(`test+ssh://127.0.0.1:${port}/default?socket=/sock`, { callTimeout: 5_000, ssh, ...options })
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'opened',
    (error: unknown) => {
      expect(String(error)).not.toContain('SECRET')
      return error
    },
  )

it('opens, and closes the SSH connection with its own', async () => {
  const connection = await connect()
  const [client] = clients
  const gone = once(client as SSHConnection, 'close')
  await connection.close()
  await gone
})

it('is lost when the SSH connection is', async () => {
  const connection = await connect()
  clients[0]?.end()
  expect(await connection.closed).toMatchObject({ phase: 'established', reason: 'Lost' })
})

it('answers a server that asks for the password at a keyboard, as PAM does', async () => {
  const methods: string[] = []
  login = (context) => {
    methods.push(context.method)
    if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
    context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => {
      if (answers[0] === 'SECRET') context.accept()
      else context.reject()
    })
  }
  const connection = await connect()
  expect(methods.at(-1)).toBe('keyboard-interactive')
  await connection.close()
})

it('says that the server forbids forwarding', async () => {
  forward = 'Forbid'
  expect(await failure(connect())).toMatchObject({ phase: 'open', reason: expect.stringMatching(/Permission|Refused/) })
})

it.each([
  ['the login', () => (login = () => {})],
  ['the forwarding', () => (forward = 'Ignore')],
])('has one deadline over all of it: the server hangs at %s', async (_what, hang) => {
  hang()
  expect(await failure(connect({ callTimeout: 300 }))).toMatchObject({ phase: 'open', reason: 'Timeout' })
})

it("ends with the caller's signal", async () => {
  const controller = new AbortController()
  login = () => controller.abort('enough')
  expect(await failure(connect({ signal: controller.signal }))).toMatchObject({ reason: 'Aborted', cause: 'enough' })
})

it('refuses a key that is revoked, though it is known', async () => {
  const { port } = server.address() as AddressInfo
  const name = `[127.0.0.1]:${port}`
  const knownHosts = `${name} ${keys.public}\n@revoked ${name} ${keys.public}`
  const ssh = { knownHosts, username: 'user', password: 'SECRET' }
  expect(await failure(connect({ ssh }))).toMatchObject({ phase: 'open', reason: 'HostKeyChanged' })
})

it.each([
  ['options', {}],
  ['a user', { ssh: { knownHosts: '', password: 'x' } }],
  ['a key or a password', { ssh: { knownHosts: '', username: 'user' } }],
])('needs %s', async (_what, { ssh }: { ssh?: object }) => {
  const { port } = server.address() as AddressInfo
  const options = ssh && { ...ssh, knownHosts: `[127.0.0.1]:${port} ${keys.public}` }
  const error = await failure(connect({ ssh: options }))
  expect(error).toBeInstanceOf(TypeError)
})

it('does not take a public key for a private one', async () => {
  const { port } = server.address() as AddressInfo
  const ssh = { knownHosts: `[127.0.0.1]:${port} ${keys.public}`, username: 'user', privateKey: keys.public }
  expect(await failure(connect({ ssh }))).toMatchObject({ reason: 'AuthenticationFailed' })
})
