/** What somebody does on a host of libvirt behind Berth's back, by virsh: the same for each of its drivers. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { DriverWorld } from '../../../controller/hypervisor/contract.ts'
import { type ProcessResult, runOrFail } from '../../../hack/hypervisor/process.ts'

type ByVirsh = Pick<
  DriverWorld,
  | 'describeMachine'
  | 'startByHand'
  | 'removeForeign'
  | 'attachForeignInterface'
  | 'makeTransient'
  | 'lastStart'
  | 'diskSources'
  | 'attachedVolumes'
  | 'guestDiskSize'
  | 'makeVolume'
>

export class VirshWorld {
  readonly #call: (args: readonly string[]) => Promise<ProcessResult>
  readonly #scratch = mkdtempSync(join(tmpdir(), 'berth-contract-'))

  /** `call` runs virsh against the host. */
  constructor(call: (args: readonly string[]) => Promise<ProcessResult>) {
    this.#call = call
  }

  /** What it printed. @throws Error when it failed */
  async virsh(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#call(args)
    if (code !== 0) throw new Error(`virsh ${args[0]}: ${stderr}`)
    return stdout
  }

  async define(id: string, xml: string): Promise<void> {
    const path = join(this.#scratch, `${id}.xml`)
    writeFileSync(path, xml)
    await this.virsh('define', path)
  }

  /** An empty image, as the host's drivers place it. */
  async qcow2(virtualSize: number): Promise<DriverWorld['qcow2']> {
    const path = join(this.#scratch, 'image.qcow2')
    await runOrFail('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(virtualSize)])
    return { content: readFileSync(path), virtualSize }
  }

  /** Attaches a volume that nobody knows, beyond where Berth's own disks are. */
  async attachForeignDisk(id: string, pool: string, target: string): Promise<void> {
    const volume = `foreign-${id}`
    await this.virsh('vol-create-as', pool, volume, '1M', '--format', 'qcow2')
    const path = (await this.virsh('vol-path', '--pool', pool, volume)).trim()
    const format = ['--driver', 'qemu', '--subdriver', 'qcow2']
    await this.virsh('attach-disk', id, path, target, ...format, '--live', '--config')
  }

  readonly members: ByVirsh = {
    describeMachine: async (id) =>
      `${await this.virsh('dumpxml', '--inactive', id)}${await this.virsh('domstate', '--reason', id)}`,
    startByHand: async (id) => {
      await this.virsh('start', id)
    },
    removeForeign: async (id) => {
      if (!/^shut off/.test(await this.virsh('domstate', id))) await this.virsh('destroy', id)
      await this.virsh('undefine', '--managed-save', id)
    },
    attachForeignInterface: async (id, macAddress) => {
      await this.virsh('attach-interface', id, 'network', 'default', '--mac', macAddress, '--live', '--config')
    },
    makeTransient: async (id) => {
      await this.virsh('undefine', id)
    },
    lastStart: async (id) => {
      const state = await this.virsh('domstate', '--reason', id)
      if (/booted/.test(state)) return 'Boot'
      if (/restored/.test(state)) return 'Resumption'
      throw new Error(`nothing tells how it was started: ${state}`)
    },
    diskSources: (description) => description.match(/<source file=[^>]*>/g) ?? [],
    attachedVolumes: async (id) => {
      const lines = (await this.virsh('domblklist', id)).split('\n')
      return lines.flatMap((line) => /^\s*\S+\s+(\/.*)$/.exec(line)?.[1] ?? []).map((path) => basename(path.trim()))
    },
    guestDiskSize: async (id, target) =>
      Number(/Capacity:\s*(\d+)/.exec(await this.virsh('domblkinfo', id, target))?.[1]),
    makeVolume: async (pool, volume) => {
      await this.virsh('vol-create-as', pool, volume, '1M')
    },
  }

  tearDown(): void {
    rmSync(this.#scratch, { recursive: true })
  }
}
