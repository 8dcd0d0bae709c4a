/** `npm run demo`: from kubectl apply to a running guest on a private libvirt host, and away again. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { detectAccelerator, startHypervisor } from '../hypervisor/index.ts'
import { startController } from '../lab/controller-process.ts'
import { createKey, echo, ssh, sshArguments } from '../lab/guest.ts'
import { startImageServer } from '../lab/image-server.ts'
import * as manifests from '../lab/manifests.ts'
import { until } from '../lab/wait.ts'
import { referenceImage } from '../reference-image/index.ts'
import { runDirectory } from '../setup/directories.mjs'
import { type DemoArguments, parseDemoArguments, usage } from './arguments.ts'
import { type Cluster, installBerth, openCluster } from './cluster.ts'
import { Output } from './output.ts'

const namespace = 'berth-demo'
const host = 'kvm1'
const out = new Output()
const started = performance.now()

async function demo(options: DemoArguments, interrupted: AbortSignal): Promise<void> {
  await using cleanup = new AsyncDisposableStack()
  mkdirSync(runDirectory, { recursive: true })
  const directory = mkdtempSync(join(runDirectory, 'demo-'))
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }))
  const check = () => interrupted.throwIfAborted()

  out.step(
    options.context === undefined
      ? 'A Kubernetes control plane, on loopback'
      : `Your cluster, context ${options.context}`,
  )
  const cluster = await openCluster(options.context)
  cleanup.defer(() => cluster.stop())
  check()
  await installBerth(cluster)
  if (options.context !== undefined) await requireUnused(cluster)
  out.command(
    'kubectl api-resources --api-group=berth.dev',
    await cluster.kubectl(['api-resources', '--api-group=berth.dev']),
  )

  out.step('A hypervisor: libvirt with QEMU, in namespaces of its own')
  const hypervisor = await startHypervisor({ name: host })
  cleanup.defer(() => hypervisor.stop())
  check()
  const accelerator = await detectAccelerator()
  out.say(
    `${hypervisor.tlsUri}, ${accelerator === 'KVM' ? 'with KVM' : 'software emulation: this machine has no usable KVM'}`,
  )

  out.step('The controller, an image server, and what an administrator declares')
  const image = await referenceImage()
  const server = await startImageServer()
  cleanup.defer(() => server.stop())
  server.files.set('/reference.qcow2', { file: image.path })
  const controller = startController({
    imageStore: join(directory, 'images'),
    log: join(directory, 'controller.log'),
    arguments: ['--lease-duration=6s', '--renew-deadline=4s', '--retry-period=1s'],
    ...(cluster.kubeconfig === undefined ? {} : { kubeconfig: cluster.kubeconfig }),
    ...(cluster.context === undefined ? {} : { context: cluster.context }),
  })
  cleanup.defer(() => controller.stop())
  out.say(`controller: process ${controller.pid}, log ${controller.log}`)
  const declared = manifests.list(
    manifests.hypervisorSecret(host, 'berth-system', hypervisor),
    manifests.hypervisor(host, host, hypervisor, accelerator, { slots: [{ name: 'tiny', count: 2, size: 'tiny' }] }),
    manifests.storagePool(`${host}-disks`, host, hypervisor),
    manifests.network('lan', [host], hypervisor),
    manifests.size('tiny', 1, '128Mi'),
    manifests.clusterImage('reference', `${server.url}/reference.qcow2`, image),
  )
  cleanup.defer(() => removeDeclared(cluster, declared))
  out.command('kubectl apply -f administrator.yaml', await cluster.kubectl(['apply', '-f', '-'], declared))
  const wait = (resource: string, condition: string, scope: readonly string[] = []) =>
    cluster.kubectl(['wait', resource, `--for=condition=${condition}`, '--timeout=180s', ...scope])
  await Promise.race([wait(`hypervisor.berth.dev/${host}`, 'Ready'), failed(controller.ended)])
  await wait('clusterimage.berth.dev/reference', 'Ready')
  check()
  const overview = 'hypervisors.berth.dev,slots.berth.dev,clusterimages.berth.dev'
  out.command('kubectl get bhv,bslot,bcimg', await cluster.kubectl(['get', overview]))

  out.step('A user applies a VirtualMachine')
  await cluster.kubectl(
    ['apply', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }),
  )
  const key = join(directory, 'key')
  const publicKey = await createKey(key, 'demo')
  const machine = manifests.virtualMachine('web', {
    size: 'tiny',
    image: { name: 'reference' },
    bootstrap: { sshAuthorizedKeys: [publicKey] },
  })
  const begun = performance.now()
  out.command(
    'kubectl apply -f web.yaml',
    await cluster.kubectl(['apply', '-n', namespace, '-f', '-'], JSON.stringify(machine)),
  )
  const address = await followMachine(cluster, controller.ended, check)
  out.say(`running with address ${address}, ${seconds(begun)} after kubectl apply`)
  out.command(
    `kubectl get bvm -n ${namespace} -o wide`,
    await cluster.kubectl(['get', 'virtualmachines.berth.dev', '-n', namespace, '-o', 'wide']),
  )

  out.step('It answers: SSH as root with the key that was given, and the echo service')
  const login = await until(
    'SSH answers',
    async () => {
      check()
      const result = await ssh(address, key, 'hostname; nproc; free -m | head -2')
      return result.code === 0 && result.stdout
    },
    { timeout: 180_000 },
  )
  out.command(`ssh root@${address} 'hostname; nproc; free -m | head -2'`, login)
  out.command(`nc ${address} 7`, (await echo(address, ['hello, berth'])).join('\n'))
  out.say(`first answer ${seconds(begun)} after kubectl apply`)

  out.step('Its history')
  out.command(
    `kubectl events -n ${namespace} --for virtualmachine.berth.dev/web`,
    await cluster.kubectl(['events', '-n', namespace, '--for', 'virtualmachine.berth.dev/web']),
  )

  if (options.keep) {
    await keep(cluster, address, key, interrupted)
    return
  }
  out.step('The machine is deleted, and its slot is free again')
  out.command(
    `kubectl delete bvm web -n ${namespace}`,
    await cluster.kubectl(['delete', 'virtualmachines.berth.dev', 'web', '-n', namespace, '--timeout=180s']),
  )
  await until(
    'the slot is free',
    async () =>
      (await cluster.kubectl(['get', 'slots.berth.dev', '-o', 'jsonpath={.items[*].status.phase}'])) === 'Free Free',
  )
  out.command('kubectl get bslot', await cluster.kubectl(['get', 'slots.berth.dev']))
  out.command(`virsh list --all   (on ${host})`, (await hypervisor.virsh(['list', '--all'])).stdout || '(nothing)\n')
  out.step(`Done in ${seconds(started)}. What to try next`)
  out.say('npm run demo -- --keep         leaves it all running, with a kubeconfig to use')
  out.say('docs/first-machine.md           the same by hand, on hosts of your own')
  out.say('kubectl explain virtualmachine.spec   reads like a manual (with --keep)')
  out.say('npm test                        the tests, on the same real parts')
}

/** The demonstration's controller would work on what is there, and its names could be taken. */
async function requireUnused(cluster: Cluster): Promise<void> {
  const there = await cluster.kubectl([
    'get',
    'hypervisors.berth.dev,virtualmachines.berth.dev',
    '--all-namespaces',
    '--output=name',
  ])
  if (there.trim() !== '') {
    throw new Error(
      `that cluster is in use by Berth (${there.trim().split('\n').slice(0, 3).join(', ')} …): name an empty one`,
    )
  }
}

/** In a cluster of yours nothing of the demonstration stays but the definitions; while its controller still runs. */
async function removeDeclared(cluster: Cluster, declared: string): Promise<void> {
  if (cluster.context === undefined) return
  await cluster.kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--timeout=120s'])
  await cluster.kubectl(['delete', '--ignore-not-found', '--timeout=60s', '-f', '-'], declared)
}

/** Shows the machine's Ready condition as it changes; gives its address. */
async function followMachine(cluster: Cluster, ended: Promise<unknown>, check: () => void): Promise<string> {
  let over = false
  const watch = until(
    'the machine runs and has an address',
    async () => {
      check()
      if (over) throw new Error('the controller ended')
      const { status } = JSON.parse(
        await cluster.kubectl(['get', 'virtualmachines.berth.dev', 'web', '-n', namespace, '-o', 'json']),
      ) as {
        status?: {
          primaryAddress?: string
          progress?: { percent?: number }
          conditions?: { type: string; reason: string; message: string }[]
        }
      }
      const ready = status?.conditions?.find(({ type }) => type === 'Ready')
      const percent = status?.progress?.percent
      out.progress(
        status?.primaryAddress ??
          `${ready?.reason ?? 'Pending'}: ${ready?.message ?? ''}${percent === undefined ? '' : ` (${percent}%)`}`,
      )
      return status?.primaryAddress
    },
    { timeout: 240_000, every: 300 },
  )
  void ended.then(() => {
    over = true
  })
  try {
    return await watch
  } finally {
    out.endProgress()
  }
}

async function keep(cluster: Cluster, address: string, key: string, interrupted: AbortSignal): Promise<void> {
  out.step('It all stays, until you press Ctrl-C. In another terminal')
  if (cluster.kubeconfig !== undefined) out.say(`export KUBECONFIG=${cluster.kubeconfig}`)
  out.say(`alias kubectl='${cluster.kubectlCommand}'`)
  out.say('kubectl get berth -A; kubectl explain virtualmachine.spec')
  out.say(`kubectl patch bvm web -n ${namespace} --type=merge -p '{"spec":{"powerState":"Stopped"}}'`)
  out.say(`ssh ${sshArguments(address, key).join(' ')}`)
  // A timer keeps the process alive while nothing else does.
  const alive = setInterval(() => undefined, 60_000)
  await new Promise<void>((resolve) => {
    if (interrupted.aborted) resolve()
    interrupted.addEventListener('abort', () => resolve(), { once: true })
  })
  clearInterval(alive)
}

const failed = async (ended: Promise<number | NodeJS.Signals>): Promise<never> => {
  throw new Error(`the controller ended (${await ended}): see its log above`)
}
const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`

async function main(): Promise<number> {
  let options: DemoArguments
  try {
    options = parseDemoArguments(process.argv.slice(2))
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`)
    return 2
  }
  if (options.help) {
    console.log(usage)
    return 0
  }
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interrupt.abort(new Error('interrupted')))
  try {
    await demo(options, interrupt.signal)
    return 0
  } catch (error) {
    if (interrupt.signal.aborted) return 130
    console.error(`\nThe demonstration failed: ${error instanceof Error ? error.message : error}`)
    return 1
  }
}

process.exit(await main())
