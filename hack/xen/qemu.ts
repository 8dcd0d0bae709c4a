import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { XenDisk } from './disk.ts'

/** What a Xen host is started with. Ports are of this machine's loopback. */
export interface QemuOptions {
  readonly disk: XenDisk
  /** A tar archive that the host unpacks over its root at its start. */
  readonly configuration: string
  readonly ports: { readonly tls: number; readonly ssh: number }
}

/** Bytes of the console that an error may quote. */
const lastWords = 10_000

/** Milliseconds that a host may take to answer: it takes 25 s on an idle machine, 80 s on a busy one. */
const startTimeout = 200_000

/**
 * A computer with Xen, by QEMU without KVM. It ends with this process, however that ends.
 *
 * The CPU lacks what QEMU's emulation gets wrong under Xen: with SMAP dom0 dies at its first `iretq`, with RDTSCP PVH
 * guests crash, and with XSAVE programs in dom0 die of segmentation faults now and then. All else that QEMU has is
 * there, with it AMD's SVM, which gives HVM and PVH guests.
 */
export class QemuProcess {
  readonly #child: ChildProcess
  #console = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    const hear = (text: string) => {
      this.#console = (this.#console + text).slice(-lastWords)
    }
    child.stdout?.setEncoding('utf8').on('data', hear)
    child.stderr?.setEncoding('utf8').on('data', hear)
    // It ended: what it said tells why.
    child.stdin?.on('error', () => undefined)
  }

  /**
   * Resolves when the host's libvirtd answers. Under emulation a boot hangs now and then, with its processor busy (once in
   * twenty starts; the cause was not found): it is begun once more, and `failed` hears why.
   */
  static async start(options: QemuOptions, failed: (error: Error) => void): Promise<QemuProcess> {
    try {
      return await QemuProcess.#boot(options)
    } catch (error) {
      failed(error as Error)
      return await QemuProcess.#boot(options)
    }
  }

  static async #boot(options: QemuOptions): Promise<QemuProcess> {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...arguments_(options)])
    const qemu = new QemuProcess(child)
    try {
      await qemu.#ready()
      return qemu
    } catch (error) {
      await qemu.stop()
      throw error
    }
  }

  async #ready(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const fail = (why: string) => reject(new Error(`the Xen host ${why}; its console: ${this.#console.trim()}`))
    const timer = setTimeout(() => fail('did not start in time'), startTimeout)
    const look = () => {
      if (/^READY\r?$/m.test(this.#console)) resolve()
      else if (/^FAILED /m.test(this.#console)) fail('cannot start')
    }
    this.#child.stdout?.on('data', look)
    this.#child.once('error', (error) => fail(`cannot be started: ${error.message}`))
    this.#child.once('close', () => fail('ended'))
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#child.stdout?.off('data', look)
    }
  }

  /** Cuts its power. Idempotent. */
  async stop(): Promise<void> {
    const { exitCode, signalCode, pid } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }
}

function arguments_({ disk, configuration, ports }: QemuOptions): string[] {
  const hypervisor =
    'xen console=com1 com1=115200,8n1 dom0_mem=512M,max:512M dom0_max_vcpus=1 sched=credit xpti=no spec-ctrl=no ' +
    'ucode=no loglvl=warning guest_loglvl=warning'
  const kernel = 'console=hvc0 loglevel=4 mitigations=off nokaslr random.trust_cpu=on net.ifnames=0'
  const forward = (port: number, inside: number) => `hostfwd=tcp:127.0.0.1:${port}-10.0.2.15:${inside}`
  return [
    ...['-machine', 'pc', '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max,smap=off,rdtscp=off,xsave=off'],
    ...['-m', '1152', '-smp', '1', '-nodefaults', '-display', 'none', '-vga', 'none', '-no-reboot', '-serial', 'stdio'],
    // QEMU leaves out the first word of what it hands to a multiboot kernel.
    ...['-kernel', disk.hypervisor, '-append', hypervisor, '-initrd', `${disk.kernel} ${kernel},${disk.initramfs}`],
    ...['-drive', `file=${disk.root},format=raw,if=virtio,cache=unsafe,snapshot=on`],
    ...['-drive', `file=${configuration},format=raw,if=virtio,readonly=on`],
    ...['-netdev', `user,id=net,restrict=on,${forward(ports.tls, 16514)},${forward(ports.ssh, 22)}`],
    ...['-device', 'virtio-net-pci,netdev=net,romfile='],
  ]
}
