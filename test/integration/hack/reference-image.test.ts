import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type Hypervisor, startHypervisor } from '../../../hack/hypervisor/index.ts'
import { runOrFail } from '../../../hack/hypervisor/process.ts'
import { type ReferenceImage, referenceImage } from '../../../hack/reference-image/index.ts'
import { cacheDirectory } from '../../../hack/setup/directories.mjs'
import {
  converse,
  type GuestOptions,
  guestAddress,
  ssh,
  sshEventually,
  sshKey,
  startGuest,
  virshOrFail,
  waitForState,
  writeSeed,
} from './guest.ts'

let image: ReferenceImage
let hypervisor: Hypervisor
let key: { path: string; publicKey: string }
let stranger: { path: string; publicKey: string }

beforeAll(async () => {
  image = await referenceImage()
  hypervisor = await startHypervisor({ name: 'reference' })
  key = await sshKey(join(hypervisor.directory, 'keys'), 'admitted')
  stranger = await sshKey(join(hypervisor.directory, 'keys'), 'stranger')
}, 120_000)

afterAll(async () => {
  await hypervisor?.stop()
})

/** Starts a guest and waits until root can log in. */
async function boot(options: Omit<GuestOptions, 'image'>): Promise<string> {
  const started = performance.now()
  await startGuest(hypervisor, { image: image.path, ...options })
  const address = await guestAddress(hypervisor, options.name)
  await sshEventually(key.path, `root@${address}`, 'true')
  console.info(`${options.name}: SSH after ${Math.round(performance.now() - started)} ms`)
  return address
}

/** The public host key, which tells a new instance from a reboot. */
async function hostKey(address: string): Promise<string> {
  return runOrFail('ssh-keyscan', ['-t', 'ed25519', address])
}

describe('the reference image', () => {
  test('O7: SSH with its keys only, RAM and CPUs, the echo service, the guest agent (cloud-config, q35)', async () => {
    const name = 'complete'
    const address = await boot({
      name,
      machine: 'q35',
      seedStyle: 'virtio iso9660',
      memoryMebibytes: 128,
      cpus: 2,
      seed: {
        metaData: 'instance-id: complete-1\nlocal-hostname: from-meta-data\n',
        userData: `#cloud-config
hostname: complete.example
users:
- name: root
  ssh_authorized_keys: ["${key.publicKey}"]
- name: alice
  ssh_authorized_keys:
  - ${key.publicKey}
`,
      },
    })
    const root = `root@${address}`
    expect((await ssh(key.path, root, 'hostname; nproc')).stdout).toBe('complete.example\n2\n')
    const memory = await ssh(key.path, root, 'free -m')
    const mebibytes = Number(/Mem: +(\d+)/.exec(memory.stdout)?.[1])
    expect(mebibytes).toBeGreaterThan(64)
    expect(mebibytes).toBeLessThanOrEqual(128)
    const alice = `alice@${address}`
    expect((await ssh(key.path, alice, 'id -un; pwd; stat -c %U .ssh')).stdout).toBe('alice\n/home/alice\nalice\n')

    for (const login of [root, alice]) {
      const refused = await ssh(stranger.path, login, 'true')
      expect(refused.code).toBe(255)
      expect(refused.stderr).toContain('Permission denied')
    }

    const prefix = `\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ ${address.replaceAll('.', '\\.')}`
    expect(await converse(address, 7, 'one line\r\n  two  \nEXIT\n')).toMatch(
      new RegExp(`^${prefix} one line\\n${prefix}   two  \\n$`),
    )

    const agent = (command: string) =>
      virshOrFail(hypervisor, ['qemu-agent-command', name, JSON.stringify({ execute: command })])
    expect(JSON.parse(await agent('guest-ping'))).toEqual({ return: {} })
    expect(await agent('guest-network-get-interfaces')).toContain(`"${address}"`)
    await virshOrFail(hypervisor, ['shutdown', name, '--mode', 'agent'])
    await waitForState(hypervisor, name, 'shut off')
  }, 120_000)

  test('a seed applies once for each instance-id: keys of the host, the script beside vendor data (vfat)', async () => {
    const name = 'instance'
    const seed = (instance: string) => ({
      metaData: `{"instance-id": "${instance}", "local-hostname": "${instance}", "public-keys": ["${key.publicKey}"]}`,
      userData: '#!/bin/sh\necho "$(hostname) ran" >>/root/runs\n',
      vendorData: `#cloud-config\nusers:\n- name: alice\n  ssh_authorized_keys: ["${key.publicKey}"]\n`,
    })
    const ran = (times: number) =>
      `until [ "$(wc -l </root/runs)" = ${times} ]; do sleep 0.1; done; cat /root/runs; hostname`
    const address = await boot({
      name,
      machine: 'pc',
      seedStyle: 'virtio vfat',
      memoryMebibytes: 128,
      cpus: 1,
      seed: seed('first'),
    })
    const root = `root@${address}`
    expect((await ssh(key.path, root, ran(1))).stdout).toBe('first ran\nfirst\n')
    expect((await ssh(key.path, `alice@${address}`, 'id -un')).stdout).toBe('alice\n')
    const firstHostKey = await hostKey(address)

    await virshOrFail(hypervisor, ['shutdown', name, '--mode', 'acpi'])
    await waitForState(hypervisor, name, 'shut off')
    await virshOrFail(hypervisor, ['start', name])
    expect(await sshEventually(key.path, root, ran(1))).toBe('first ran\nfirst\n')
    expect(await hostKey(address)).toBe(firstHostKey)

    await virshOrFail(hypervisor, ['destroy', name])
    await writeSeed(hypervisor, name, 'virtio vfat', seed('second'))
    await virshOrFail(hypervisor, ['start', name])
    expect(await sshEventually(key.path, root, ran(2))).toBe('first ran\nsecond ran\nsecond\n')
    expect(await hostKey(address)).not.toBe(firstHostKey)
    await virshOrFail(hypervisor, ['destroy', name])
  }, 180_000)

  test('the seed may be an IDE CD-ROM, and 96 MiB are enough', async () => {
    const name = 'cdrom'
    const userData = { users: [{ name: 'root', ssh_authorized_keys: [key.publicKey] }] }
    const address = await boot({
      name,
      machine: 'pc',
      seedStyle: 'IDE CD-ROM',
      memoryMebibytes: 96,
      cpus: 1,
      seed: {
        metaData: 'instance-id: cdrom-1\nlocal-hostname: cdrom\n',
        userData: `#cloud-config\n${JSON.stringify(userData)}\n`,
      },
    })
    expect((await ssh(key.path, `root@${address}`, 'hostname')).stdout).toBe('cdrom\n')
    await virshOrFail(hypervisor, ['destroy', name])
  }, 120_000)

  test('the same inputs give the same bytes, so that a checksum can be given', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'berth-reference-'))
    const before = process.env['XDG_CACHE_HOME']
    try {
      cpSync(join(cacheDirectory(), 'reference-image', 'packages'), join(elsewhere, 'berth/reference-image/packages'), {
        recursive: true,
      })
      process.env['XDG_CACHE_HOME'] = elsewhere
      const again = await referenceImage()
      expect(again.path).not.toBe(image.path)
      expect(again.sha256).toBe(image.sha256)
    } finally {
      if (before === undefined) delete process.env['XDG_CACHE_HOME']
      else process.env['XDG_CACHE_HOME'] = before
      rmSync(elsewhere, { recursive: true, force: true })
    }
    expect(image.size).toBeLessThan(40 * 2 ** 20)
  }, 120_000)
})
