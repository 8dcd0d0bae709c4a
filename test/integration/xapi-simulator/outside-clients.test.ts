import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type RunningPool, type Simulator, startSimulator } from '@berth/xapi-simulator'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { root } from '../../../hack/setup/directories.mjs'
import { xenApiPython } from '../../../hack/xenapi/install.mjs'

const run = promisify(execFile)

let simulator: Simulator
let pool: RunningPool

beforeAll(async () => {
  simulator = await startSimulator({ pools: [{ name: 'pool', members: 2, user: 'root', password: 'secret' }] })
  const [first] = simulator.pools
  if (first === undefined) throw new Error('There is no pool.')
  pool = first
})

afterAll(async () => {
  await simulator?.stop()
})

test('XAPI’s own Python client finds a pool that behaves as it expects', async () => {
  const script = fileURLToPath(new URL('python-client.py', import.meta.url))
  const [master = '', member = ''] = pool.urls
  const { stdout } = await run(xenApiPython().python, [script, member, master, 'root', 'secret'], { timeout: 60_000 })
  expect(JSON.parse(stdout)).toEqual({
    slave: ['HOST_IS_SLAVE', '127.0.0.1'],
    'wrong password': 'SESSION_AUTHENTICATION_FAILED',
    integers: '536870912',
    text: { key: '<ä&>' },
    task: ['success', '', '20'],
    'second start': ['VM_BAD_POWER_STATE'],
    types: { domid: 'str', is_a_template: 'bool', snapshot_time: 'DateTime', tags: 'list' },
    metrics: 'float',
    missing: ['HANDLE_INVALID', 'VM', 'OpaqueRef:gone'],
    unknown: ['MESSAGE_METHOD_UNKNOWN', 'VM.nonsense'],
    left: [],
  })
})

test.each(['auto', 'xml-rpc'])('the npm package xen-api does too, over %s', async (transport) => {
  const script = fileURLToPath(new URL('npm-client.mjs', import.meta.url))
  // It begins at a member that is not the master and finds its way.
  const [master = '', member = ''] = pool.urls
  const { stdout } = await run(process.execPath, [script, master, member, 'root', 'secret', transport], {
    timeout: 60_000,
  })
  expect(JSON.parse(stdout)).toEqual({
    pool: 'pool',
    field: { key: 'changed' },
    bytes: [8 * 1024 ** 2, true],
    start: '',
    cached: 'Running',
    devices: [true],
    again: 'VM_BAD_POWER_STATE',
    unknown: ['MESSAGE_METHOD_UNKNOWN', 'VM.nonsense'],
    relogin: 'Running',
    left: 0,
  })
  const tasks = pool.control.database.all('task').map(([, { name_label, status }]) => `${name_label} ${status}`)
  expect(tasks).toEqual([])
})

test('the command line of xen-api shows the pool', async () => {
  const command = join(root, 'node_modules/.bin/xen-api')
  const child = spawn(process.execPath, [command, pool.urls[0] ?? '', 'root', 'secret'])
  try {
    const shown = new Promise<string>((resolve) => {
      let text = ''
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        if (text.includes('Default network')) resolve(text)
      })
    })
    child.stdin.write("xapi.call('network.get_all_records').then(all => Object.values(all)[0].name_label)\n")
    expect(await shown).toContain("'Default network'")
  } finally {
    child.stdin.end()
    const closed = once(child, 'close')
    child.kill()
    await closed
  }
})
