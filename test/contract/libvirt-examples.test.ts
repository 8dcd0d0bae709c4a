import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { eventually, Lab } from '../integration/libvirt/support/connections.ts'

// The examples of node-libvirt do what they say.

let lab: Lab

beforeAll(async () => {
  lab = await Lab.start('examples', { ssh: true })
})

afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
})

const examples = join(import.meta.dirname, '../../node-libvirt/examples')

interface Run {
  readonly process: ChildProcess
  output: string
  readonly ended: Promise<number | null>
}

const start = (name: string, ...args: readonly string[]): Run => {
  const child = spawn(process.execPath, [join(examples, name), ...args], { env: { ...process.env, NODE_OPTIONS: '' } })
  const run: Run = {
    process: child,
    output: '',
    ended: new Promise((resolve) => child.once('close', resolve)),
  }
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      run.output += chunk
    })
  }
  return run
}

const outcome = async (run: Run) => ({ code: await run.ended, output: run.output })

it('list.ts', async () => {
  expect(await outcome(start('list.ts', lab.testDriverURI))).toEqual({ code: 0, output: 'test RUNNING unknown KiB\n' })
})

it('watch.ts', async () => {
  const watching = start('watch.ts', lab.testDriverURI)
  await eventually(() => watching.output.includes('watching\n') || watching.process.exitCode !== null)
  await lab.virsh(lab.testDriverURI, 'suspend', 'test')
  await lab.virsh(lab.testDriverURI, 'resume', 'test')
  await lab.virsh(lab.testDriverURI, 'suspend', 'test')
  const output = 'watching\ntest SUSPENDED\ntest RESUMED\ntest SUSPENDED\n'
  expect(await outcome(watching)).toEqual({ code: 0, output })
})

it('upload.ts', async () => {
  const file = join(lab.hypervisor.directory, 'disk.img')
  writeFileSync(file, Buffer.alloc(100_000, 1))
  const { poolName, poolPath, uri } = lab.hypervisor
  const output = `${poolPath}/disk.img 100000\n`
  expect(await outcome(start('upload.ts', uri, poolName, file))).toEqual({ code: 0, output })
  const again = { code: 0, output: 'it is there already\n' }
  expect(await outcome(start('upload.ts', uri, poolName, file))).toEqual(again)
})

it('ssh.ts', async () => {
  const { ssh, directory } = lab.hypervisor
  if (ssh === undefined) throw new Error('no SSH server')
  const knownHosts = join(directory, 'known_hosts')
  writeFileSync(knownHosts, ssh.knownHosts)
  expect(await outcome(start('ssh.ts', ssh.uri, knownHosts, ssh.privateKey))).toEqual({ code: 0, output: 'examples\n' })
  const refused = { code: 1, output: 'AuthenticationFailed\n' }
  expect(await outcome(start('ssh.ts', ssh.uri, knownHosts, ssh.strangerKey))).toEqual(refused)
})
