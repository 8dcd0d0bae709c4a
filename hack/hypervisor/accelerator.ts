import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { referenceImage } from '../reference-image/index.ts'
import { cacheDirectory } from '../setup/directories.mjs'
import { runOrFail } from './process.ts'

/** `KVM`: the CPU's own virtualization. `QEMU`: emulation (TCG), which works everywhere and is about ten times slower. */
export type Accelerator = 'KVM' | 'QEMU'

/** Milliseconds. A guest under KVM reaches its shell in 2 to 5 s; a busy machine takes longer. */
const bootLimit = 20_000

/**
 * What guests on this machine can run with. Tried, not believed: /dev/kvm may be there, and libvirt may list it, while
 * no guest gets through its boot (nested virtualization). The first call boots the reference image, for at most 20 s;
 * the answer holds until the CPU, the kernel or QEMU changes.
 */
export async function detectAccelerator(progress: (step: string) => void = () => undefined): Promise<Accelerator> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch {
    return 'QEMU'
  }
  const qemu = await runOrFail('qemu-system-x86_64', ['--version'])
  const machine = createHash('sha256')
    .update(JSON.stringify([cpus()[0]?.model, release(), qemu]))
    .digest('hex')
  const path = join(cacheDirectory(), `accelerator-${machine.slice(0, 16)}`)
  const known = readIfPresent(path)
  if (known === 'KVM' || known === 'QEMU') return known

  const image = await referenceImage(progress)
  progress('trying a guest with KVM')
  const accelerator = (await bootsWithKvm(image.path)) ? 'KVM' : 'QEMU'
  mkdirSync(cacheDirectory(), { recursive: true })
  writeFileSync(`${path}.${process.pid}`, accelerator)
  renameSync(`${path}.${process.pid}`, path)
  return accelerator
}

/** Boots the disk, which stays unchanged, until its serial console shows a shell. */
function bootsWithKvm(disk: string): Promise<boolean> {
  return new Promise((resolve) => {
    const qemu = spawn(
      'qemu-system-x86_64',
      [
        ...['-nodefaults', '-display', 'none', '-no-reboot', '-machine', 'pc,accel=kvm', '-cpu', 'host', '-m', '128'],
        ...['-drive', `file=${disk},format=qcow2,if=virtio,snapshot=on`, '-serial', 'stdio'],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let answer = false
    const end = () => qemu.kill('SIGKILL')
    const limit = setTimeout(end, bootLimit)
    let output = ''
    qemu.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      answer ||= output.includes('BusyBox v')
      if (answer) end()
    })
    qemu.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('KVM internal error')) end()
    })
    qemu.once('error', () => resolve(false))
    qemu.once('close', () => {
      clearTimeout(limit)
      resolve(answer)
    })
  })
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
