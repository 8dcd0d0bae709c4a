/** What the end-to-end tests stand on: a control plane of their own, private hypervisors, an image server, the controller. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { VirtualMachine } from '../../controller/api/index.ts'
import { type ControlPlane, startControlPlane } from '../../hack/control-plane/index.ts'
import { detectAccelerator, type Hypervisor, type ProcessResult, startHypervisor } from '../../hack/hypervisor/index.ts'
import { type ControllerOptions, type ControllerProcess, startController } from '../../hack/lab/controller-process.ts'
import { createKey, ssh } from '../../hack/lab/guest.ts'
import { type ImageServer, startImageServer } from '../../hack/lab/image-server.ts'
import * as manifests from '../../hack/lab/manifests.ts'
import { until } from '../../hack/lab/wait.ts'
import { type ReferenceImage, referenceImage } from '../../hack/reference-image/index.ts'
import { root, runDirectory } from '../../hack/setup/directories.mjs'
import { kubectl, kubectlWithInput } from '../support/kubectl.ts'

export const namespace = 'e2e'

/** Generous: guests are emulated, on a machine that does other things too. */
export const patience = { timeout: 240_000, every: 300 }

export class Lab {
  readonly controlPlane: ControlPlane
  readonly hypervisors: readonly Hypervisor[]
  readonly images: ImageServer
  readonly reference: ReferenceImage
  readonly directory: string
  readonly publicKey: string
  #controllers: ControllerProcess[] = []

  private constructor(
    parts: Pick<Lab, 'controlPlane' | 'hypervisors' | 'images' | 'reference' | 'directory' | 'publicKey'>,
  ) {
    this.controlPlane = parts.controlPlane
    this.hypervisors = parts.hypervisors
    this.images = parts.images
    this.reference = parts.reference
    this.directory = parts.directory
    this.publicKey = parts.publicKey
  }

  static async start(count: number): Promise<Lab> {
    await mkdir(runDirectory, { recursive: true })
    const directory = mkdtempSync(join(runDirectory, 'e2e-'))
    const reference = await referenceImage()
    const images = await startImageServer()
    images.files.set('/reference.qcow2', { file: reference.path })
    const controlPlane = await startControlPlane()
    const hypervisors = await Promise.all(
      Array.from({ length: count }, (_, index) => startHypervisor({ name: `kvm${index + 1}` })),
    )
    const publicKey = await createKey(join(directory, 'key'), 'e2e')
    const lab = new Lab({ controlPlane, hypervisors, images, reference, directory, publicKey })
    await lab.kubectl('apply', '--server-side', '--filename', join(root, 'crds'))
    await lab.kubectl('wait', '--for=condition=Established', '--timeout=60s', '--filename', join(root, 'crds'))
    await lab.kubectl('apply', '--server-side', '--filename', join(root, 'helm/berth/policies'))
    for (const name of ['berth-system', namespace]) await lab.kubectl('create', 'namespace', name)
    return lab
  }

  get key(): string {
    return join(this.directory, 'key')
  }

  /** The controller as a process of its own, with short lease times; several may run at once. */
  startController(name = 'a', ...args: string[]): ControllerProcess {
    return this.startControllerWith({ name }, ...args)
  }

  /** `kubeconfig`: another way to the API server, such as by a proxy. */
  startControllerWith(
    {
      name,
      ...options
    }: { name: string } & Partial<Pick<ControllerOptions, 'kubeconfig' | 'directory' | 'nodeArguments'>>,
    ...args: string[]
  ): ControllerProcess {
    const controller = startController({
      kubeconfig: this.controlPlane.kubeconfig,
      ...options,
      // On shared storage, as the replicas of one Deployment have it.
      imageStore: join(this.directory, 'images'),
      log: join(this.directory, `controller-${name}.log`),
      // Shorter than in life, so that a new leader settles in seconds; the rule itself is the same.
      arguments: ['--lease-duration=4s', '--renew-deadline=3s', '--retry-period=500ms', '--host-job-wait=2s', ...args],
    })
    this.#controllers.push(controller)
    return controller
  }

  /** The first of them, where there is one alone. */
  get hypervisor(): Hypervisor {
    const [first] = this.hypervisors
    if (!first) throw new Error('no hypervisor')
    return first
  }

  /** What administrators declare for these hosts: `slots` slots on each. */
  async declare(slots = 1): Promise<void> {
    const domainType = await detectAccelerator()
    const names = this.hypervisors.map(({ name }) => name)
    const first = this.hypervisor
    await this.apply(
      manifests.list(
        manifests.size('tiny', 1, '128Mi'),
        ...this.hypervisors.flatMap((hypervisor) => [
          manifests.hypervisorSecret(hypervisor.name, 'berth-system', hypervisor),
          manifests.hypervisor(hypervisor.name, hypervisor.name, hypervisor, domainType, {
            slots: [{ name: 'tiny', count: slots, size: 'tiny' }],
            limits: { callTimeout: '5s' },
            // The first by its Secret, the others as an administrator who mounts files would.
            ...(hypervisor === first ? {} : { credentials: { file: this.#credentialsFolder(hypervisor) } }),
          }),
          manifests.storagePool(`${hypervisor.name}-disks`, hypervisor.name, hypervisor),
        ]),
        manifests.network('lan', names, first),
        this.image('reference'),
      ),
    )
  }

  #credentialsFolder(hypervisor: Hypervisor): string {
    const folder = join(this.directory, `credentials-${hypervisor.name}`)
    mkdirSync(folder)
    for (const [key, path] of Object.entries(manifests.credentialFiles(hypervisor)))
      copyFileSync(path, join(folder, key))
    return folder
  }

  /** One of docs/samples, as it is. */
  applySample(name: string): Promise<string> {
    return this.kubectl('apply', '--namespace', namespace, '--filename', join(root, 'docs', 'samples', `${name}.yaml`))
  }

  /** The sample machine `web` and all that it needs beside its pool, on a slot that this hypervisor gets for it. */
  async runSampleMachine(hypervisor: string): Promise<string> {
    for (const sample of ['size', 'network']) await this.applySample(sample)
    const slots = [{ name: 'small', count: 1, size: 'small' }]
    await this.kubectl('patch', 'bhv', hypervisor, '--type=merge', '-p', JSON.stringify({ spec: { slots } }))
    await this.apply(manifests.list(this.image('debian-12')))
    await this.applySample('machine')
    return this.address('web')
  }

  image(name: string, path = '/reference.qcow2'): Record<string, unknown> {
    return manifests.clusterImage(name, `${this.images.url}${path}`, this.reference)
  }

  machine(name: string, spec: Record<string, unknown> = {}): string {
    const common = { size: 'tiny', image: { name: 'reference' }, bootstrap: { sshAuthorizedKeys: [this.publicKey] } }
    return JSON.stringify(manifests.virtualMachine(name, { ...common, ...spec }, namespace))
  }

  kubectl(...args: string[]): Promise<string> {
    return kubectl(this.controlPlane, ...args)
  }

  apply(manifest: string): Promise<string> {
    return kubectlWithInput(this.controlPlane, manifest, 'apply', '--filename=-')
  }

  async get<T>(resource: string, name: string): Promise<T | undefined> {
    const output = await this.kubectl(
      'get',
      `${resource}.berth.dev`,
      name,
      '--namespace',
      namespace,
      '--ignore-not-found',
      '-o',
      'json',
    )
    return output === '' ? undefined : (JSON.parse(output) as T)
  }

  async list<T>(resource: string): Promise<T[]> {
    return (
      JSON.parse(await this.kubectl('get', `${resource}.berth.dev`, '--namespace', namespace, '-o', 'json')) as {
        items: T[]
      }
    ).items
  }

  /** Waits for a condition of an object; gives the object. */
  condition<T extends WithConditions>(
    resource: string,
    name: string,
    type: string,
    status: string,
    reason?: string,
  ): Promise<T> {
    return until(
      `${resource} ${name}: ${type}=${status}${reason === undefined ? '' : ` ${reason}`}`,
      async () => {
        const object = await this.get<T>(resource, name)
        const condition = object?.status?.conditions?.find((one) => one.type === type)
        const holds = condition?.status === status && (reason === undefined || condition.reason === reason)
        if (!holds)
          throw new Error(
            JSON.stringify(
              object?.status?.conditions?.map(({ type, status, reason, message }) => [type, status, reason, message]),
            ),
          )
        return object
      },
      patience,
    )
  }

  running(name: string): Promise<VirtualMachine> {
    return this.condition('virtualmachines', name, 'Ready', 'True', 'Running')
  }

  /** Running, and its address known. */
  async address(name: string): Promise<string> {
    await this.running(name)
    return until(
      `an address of ${name}`,
      async () => (await this.get<VirtualMachine>('virtualmachines', name))?.status?.primaryAddress,
      patience,
    )
  }

  /** Changes a machine's spec, as `kubectl patch` does; gives the machine as it was then written. */
  async patch(name: string, spec: Record<string, unknown>): Promise<VirtualMachine> {
    const patch = JSON.stringify({ spec })
    return JSON.parse(
      await this.kubectl('patch', 'bvm', name, '-n', namespace, '--type=merge', '-p', patch, '-o', 'json'),
    ) as VirtualMachine
  }

  async remove(resource: string, name: string): Promise<void> {
    await this.kubectl('delete', `${resource}.berth.dev`, name, '--namespace', namespace, '--timeout=240s')
  }

  /** Messages of the Events about an object, oldest first. */
  async events(kind: string, name: string): Promise<EventLine[]> {
    const selector = `regarding.kind=${kind},regarding.name=${name}`
    const output = await this.kubectl(
      'get',
      'events.events.k8s.io',
      '--all-namespaces',
      `--field-selector=${selector}`,
      '-o',
      'json',
    )
    const { items } = JSON.parse(output) as { items: EventLine[] }
    return items.toSorted((a, b) => a.eventTime.localeCompare(b.eventTime))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#controllers.map((controller) => controller.stop()))
    await Promise.all(this.hypervisors.map((hypervisor) => hypervisor.stop()))
    await this.images.stop()
    await this.controlPlane.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Runs a command in a guest, as soon as its SSH answers. A refused login is a result (code 255), not an error. */
export const login = (address: string, key: string, command: string, user?: string): Promise<ProcessResult> =>
  until(
    `SSH to ${address}`,
    async () => {
      const result = await ssh(address, key, command, user)
      // A guest that still boots refuses the connection; one that is up refuses or takes the key.
      if (result.code === 255 && !result.stderr.includes('Permission denied')) throw new Error(result.stderr)
      return result
    },
    patience,
  )

export interface WithConditions {
  readonly status?: {
    readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[]
  }
}

export interface EventLine {
  readonly eventTime: string
  readonly action: string
  readonly reason: string
  readonly note: string
  readonly related?: { readonly kind: string; readonly name: string }
  readonly metadata: { readonly annotations?: Record<string, string> }
}

/** virsh's own view of a host: domains and volumes by name. */
export async function inventory({ virsh, poolName }: Hypervisor): Promise<{ domains: string[]; volumes: string[] }> {
  const names = async (...args: string[]) => {
    const { code, stdout, stderr } = await virsh(args)
    if (code !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr}`)
    return stdout
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[0] ?? '')
      .filter((name) => name !== '')
      .toSorted()
  }
  await virsh(['pool-refresh', poolName])
  return { domains: await names('list', '--all', '--name'), volumes: await names('vol-list', poolName) }
}
