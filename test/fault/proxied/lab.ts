/** A lab in which proxies stand before the API server and before libvirtd. Its image boots nothing, so guests cost nothing. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Slot, VirtualMachine } from '../../../controller/api/index.ts'
import { detectAccelerator } from '../../../hack/hypervisor/index.ts'
import { run } from '../../../hack/hypervisor/process.ts'
import type { ControllerProcess } from '../../../hack/lab/controller-process.ts'
import * as manifests from '../../../hack/lab/manifests.ts'
import { until } from '../../../hack/lab/wait.ts'
import { inventory, Lab, namespace, patience } from '../../e2e/lab.ts'
import { APIProxy } from '../../support/api-proxy.ts'
import { LibvirtProxy } from '../../support/libvirt-proxy.ts'

/** Deadline of a call to a host, and what the host itself may wait for a job: together T, after which a slot may be let go. */
const callTimeout = 2
const hostJobWait = 1

/** As in life: a machine under load is not what these tests are about. */
const leaseTimes = ['--lease-duration=15s', '--renew-deadline=10s', '--retry-period=2s']

/** A controller, and the proxies that it alone sees the world through. */
export interface Proxied {
  readonly api: APIProxy
  /** In the order of the hypervisors. */
  readonly hosts: readonly LibvirtProxy[]
  readonly arguments: readonly string[]
  process: ControllerProcess
}

/** The way of a controller to one of its hosts. */
export function hostProxy({ hosts }: Proxied, index = 0): LibvirtProxy {
  const proxy = hosts[index]
  if (!proxy) throw new Error(`no host ${index}`)
  return proxy
}

export class ProxiedLab {
  readonly lab: Lab
  readonly #proxied: Proxied[] = []
  readonly #imageSHA256: string

  private constructor(lab: Lab, imageSHA256: string) {
    this.lab = lab
    this.#imageSHA256 = imageSHA256
  }

  static async start({ hypervisors = 1, slots = 1 } = {}): Promise<ProxiedLab> {
    const lab = await Lab.start(hypervisors)
    const file = join(lab.directory, 'blank.qcow2')
    // Random: nothing of it can be left out on its way.
    writeFileSync(join(lab.directory, 'blank.raw'), randomBytes(4 * 2 ** 20))
    await run('qemu-img', ['convert', '-O', 'qcow2', join(lab.directory, 'blank.raw'), file])
    lab.images.files.set('/blank.qcow2', { file })
    const made = new ProxiedLab(lab, createHash('sha256').update(readFileSync(file)).digest('hex'))
    await made.#declare(slots)
    return made
  }

  /**
   * A controller behind proxies of its own. All find their host's proxy under one path, which leads to their own by
   * their working directory: they share the Hypervisor's URI.
   */
  async startController(name: string, ...args: string[]): Promise<Proxied> {
    const directory = join(this.lab.directory, name)
    mkdirSync(directory)
    const api = await APIProxy.start(this.lab.controlPlane)
    const hosts = await Promise.all(
      this.lab.hypervisors.map((host) => LibvirtProxy.start(host, join(directory, `${host.name}.sock`))),
    )
    const proxied: Proxied = { api, hosts, arguments: args, process: this.#startProcess(name, api, args) }
    this.#proxied.push(proxied)
    return proxied
  }

  #startProcess(name: string, { kubeconfig }: APIProxy, args: readonly string[]): ControllerProcess {
    const directory = join(this.lab.directory, name)
    // A port for the debugger, by which a test can keep its event loop busy.
    const options = { name, kubeconfig, directory, nodeArguments: ['--inspect=127.0.0.1:0'] }
    return this.lab.startControllerWith(options, `--host-job-wait=${hostJobWait}s`, ...leaseTimes, ...args)
  }

  /** kill -9, then a new process behind the same proxies. */
  async restart(proxied: Proxied, name: string): Promise<void> {
    await proxied.process.kill()
    proxied.process = this.#startProcess(name, proxied.api, proxied.arguments)
  }

  async #declare(slots: number): Promise<void> {
    const domainType = await detectAccelerator()
    const { lab } = this
    const [first] = lab.hypervisors
    if (!first) throw new Error('no hypervisor')
    await lab.apply(
      manifests.list(
        manifests.size('tiny', 1, '32Mi'),
        ...lab.hypervisors.flatMap((host) => [
          manifests.hypervisor(host.name, '', host, domainType, {
            libvirt: { uri: `qemu+unix:///system?socket=/proc/self/cwd/${host.name}.sock`, domainType },
            credentials: undefined,
            slots: [{ name: 'tiny', count: slots, size: 'tiny' }],
            limits: { callTimeout: `${callTimeout}s` },
          }),
          manifests.storagePool(`${host.name}-disks`, host.name, host),
        ]),
        manifests.network(
          'lan',
          lab.hypervisors.map(({ name }) => name),
          first,
        ),
      ),
    )
    await this.image('blank')
  }

  async image(name: string): Promise<void> {
    const manifest = manifests.clusterImage(name, `${this.lab.images.url}/blank.qcow2`, { sha256: this.#imageSHA256 })
    await this.lab.apply(JSON.stringify(manifest))
  }

  async machine(name: string, spec: Record<string, unknown> = {}): Promise<void> {
    await this.lab.apply(this.lab.machine(name, { image: { name: 'blank' }, shutdownMode: 'Hard', ...spec }))
  }

  async patch(name: string, spec: Record<string, unknown>): Promise<void> {
    const patch = JSON.stringify({ spec })
    await this.lab.kubectl('patch', 'bvm', name, '-n', namespace, '--type=merge', '-p', patch)
  }

  get(name: string): Promise<VirtualMachine | undefined> {
    return this.lab.get<VirtualMachine>('virtualmachines', name)
  }

  slots(): Promise<Slot[]> {
    return this.lab.list<Slot>('slots')
  }

  /** Runs, and is the only one of its name: one domain, its own volumes, one slot. */
  async expectOne(name: string, hostIndex = 0): Promise<VirtualMachine> {
    const vm = await this.lab.running(name)
    const host = this.host(hostIndex)
    const uid = vm.metadata.uid ?? ''
    const { domains, volumes } = await inventory(host)
    const ownDomains = domains.filter((domain) => domain.startsWith(`${namespace}_${name}`))
    const ownVolumes = volumes.filter((volume) => volume.includes(uid))
    const claims = (await this.slots()).filter(({ status }) => status?.consumerRef?.name === name)
    const facts = { domains: ownDomains, volumes: ownVolumes, claims: claims.map(({ status }) => status?.phase) }
    const expected = {
      domains: [`${namespace}_${name}`],
      volumes: [`berth-${uid}-root`, `berth-${uid}-seed`],
      claims: ['Bound'],
    }
    if (JSON.stringify(facts) !== JSON.stringify(expected)) throw new Error(JSON.stringify(facts))
    return vm
  }

  /** Gone: object, domain, volumes and claim. */
  async expectNone(name: string): Promise<void> {
    await until(`${name} is gone`, async () => (await this.get(name)) === undefined, patience)
    await until(
      `nothing of ${name} is left`,
      async () => {
        const claims = (await this.slots()).filter(({ status }) => status?.consumerRef?.name === name)
        const domains = await Promise.all(this.lab.hypervisors.map(async (host) => (await inventory(host)).domains))
        const left = domains.flat().filter((domain) => domain === `${namespace}_${name}`)
        if (claims.length + left.length > 0) throw new Error(JSON.stringify([claims, left]))
        return true
      },
      patience,
    )
  }

  async remove(name: string): Promise<void> {
    await this.lab.remove('virtualmachines', name)
    await this.expectNone(name)
  }

  host(index = 0) {
    const host = this.lab.hypervisors[index]
    if (!host) throw new Error(`no hypervisor ${index}`)
    return host
  }

  async stop(): Promise<void> {
    await Promise.all(this.#proxied.map(({ process }) => process.kill()))
    for (const { api, hosts } of this.#proxied) {
      api.stop()
      for (const host of hosts) host.stop()
    }
    await this.lab.stop()
  }
}
