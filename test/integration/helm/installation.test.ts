/**
 * The chart on a real API server: installed, used by the controller with the chart's own account and nothing more,
 * upgraded, uninstalled. One story, told in order.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type ControlPlane, startControlPlane } from '../../../hack/control-plane/index.ts'
import { runOrFail } from '../../../hack/hypervisor/process.ts'
import { type ControllerProcess, startController } from '../../../hack/lab/controller-process.ts'
import * as manifests from '../../../hack/lab/manifests.ts'
import { until } from '../../../hack/lab/wait.ts'
import { root } from '../../../hack/setup/directories.mjs'
import { kubectl, kubectlWithInput } from '../../support/kubectl.ts'
import { allowed, type Question, type Subject, serviceAccount } from './access.ts'
import { chart, Helm } from './helm.ts'

const namespace = 'berth-system'
const account = serviceAccount(namespace, 'berth-controller')
const definitions = readdirSync(join(root, 'crds')).flatMap((file) => ['--filename', join(root, 'crds', file)])
const group = (...plurals: readonly string[]) => plurals.map((plural) => `${plural}.berth.dev`)

let plane: ControlPlane
let helm: Helm
let directory: string

const run = (...args: readonly string[]) => kubectl(plane, ...args)
const apply = (...objects: readonly Record<string, unknown>[]) =>
  kubectlWithInput(plane, manifests.list(...objects), 'apply', '--filename=-')

/** The object's Ready condition, as status and reason. */
async function ready(resource: string, ...scope: readonly string[]): Promise<string> {
  const path = '{range .status.conditions[?(@.type=="Ready")]}{.status} {.reason}{end}'
  return run('get', resource, `--output=jsonpath=${path}`, ...scope)
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'berth-installation-'))
  // As on OpenShift: who makes an object the owner of another must be allowed to keep the owner from going.
  plane = await startControlPlane({
    apiServerArguments: ['--enable-admission-plugins=OwnerReferencesPermissionEnforcement'],
  })
  helm = new Helm(plane)
  await helm.run(
    ...['install', 'berth', chart, '--namespace', namespace, '--create-namespace'],
    '--set=controller.enabled=false',
  )
  await run('wait', '--for=condition=Established', '--timeout=60s', ...definitions)
  for (const name of ['team', 'other']) await run('create', 'namespace', name)
})

afterAll(async () => {
  helm?.close()
  await plane?.stop()
  rmSync(directory, { recursive: true, force: true })
})

test('the chart says what to do next', async () => {
  const notes = await helm.run('get', 'notes', 'berth', '--namespace', namespace)
  expect(notes).toContain(`npm run controller -- --namespace=${namespace}`)
  expect(notes).toContain('berth-administrator')
})

describe('least privilege', () => {
  const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']
  const kinds = group(
    ...['addressleases', 'clusterimages', 'hypervisors', 'images', 'networks', 'slots'],
    ...['storagepools', 'virtualmachines', 'virtualmachinesizes'],
  )
  const secretsElsewhere = [
    { resource: 'secrets', namespace: 'team' },
    { resource: 'secrets', namespace: 'kube-system' },
  ]
  const others = ['serviceaccounts', 'configmaps', 'pods', 'clusterroles.rbac.authorization.k8s.io']

  const granted = async (subject: Subject, places: readonly Omit<Question, 'verb'>[]) => {
    const questions = places.flatMap((place) => verbs.map((verb) => ({ verb, ...place })))
    const answers = await allowed(plane, subject, questions)
    const table: Record<string, string> = {}
    for (const [index, { verb, resource, namespace: scope }] of questions.entries()) {
      if (!answers[index]) continue
      const key = scope === undefined ? resource : `${scope}: ${resource}`
      table[key] = table[key] === undefined ? verb : `${table[key]} ${verb}`
    }
    return table
  }

  test('the controller has exactly what it uses', async () => {
    const places = [
      ...[...kinds, ...kinds.map((kind) => `${kind}/status`), ...kinds.map((kind) => `${kind}/finalizers`)].map(
        (resource) => ({ resource }),
      ),
      ...['events', 'events.events.k8s.io'].map((resource) => ({ resource, namespace: 'team' })),
      ...['namespaces', 'namespaces=kube-system', 'namespaces=team'].map((resource) => ({ resource })),
      ...['leases.coordination.k8s.io', 'leases.coordination.k8s.io=berth-controller'].flatMap((resource) => [
        { resource, namespace },
        { resource, namespace: 'kube-system' },
      ]),
      { resource: 'secrets', namespace },
      ...secretsElsewhere,
      ...others.flatMap((resource) => [{ resource, namespace }, { resource }]),
    ]
    // What everyone who is logged in may do is not its own.
    const groups = account.groups.filter((name) => name !== 'system:authenticated')
    expect(await granted({ ...account, groups }, places)).toEqual({
      'addressleases.berth.dev': 'get list watch create delete',
      'clusterimages.berth.dev': 'list watch patch',
      'hypervisors.berth.dev': 'list watch patch',
      'images.berth.dev': 'list watch patch',
      'networks.berth.dev': 'list watch',
      'slots.berth.dev': 'get list watch create patch delete',
      'storagepools.berth.dev': 'list watch patch',
      'virtualmachines.berth.dev': 'get list watch patch delete',
      'virtualmachinesizes.berth.dev': 'list watch',
      'clusterimages.berth.dev/status': 'patch',
      'hypervisors.berth.dev/status': 'patch',
      'images.berth.dev/status': 'patch',
      'networks.berth.dev/status': 'patch',
      'slots.berth.dev/status': 'patch',
      'storagepools.berth.dev/status': 'patch',
      'virtualmachines.berth.dev/status': 'patch',
      'hypervisors.berth.dev/finalizers': 'update',
      'team: events.events.k8s.io': 'create patch',
      'namespaces=kube-system': 'get',
      'berth-system: leases.coordination.k8s.io': 'create',
      'berth-system: leases.coordination.k8s.io=berth-controller': 'get create update',
      'berth-system: secrets': 'get',
    })
  })

  const all = 'get list watch create update patch delete deletecollection'
  const machines = (what: string) =>
    Object.fromEntries(group('images', 'virtualmachines').map((kind) => [`team: ${kind}`, what]))
  const catalogue = Object.fromEntries(
    group('clusterimages', 'virtualmachinesizes').map((kind) => [kind, 'get list watch']),
  )

  describe.each<[string, Record<string, string>]>([
    ['view', machines('get list watch')],
    ['edit', machines(all)],
    ['admin', machines(all)],
  ])('who has %s in a namespace', (role, expected) => {
    test('may use machines there, see what they are made of, and see no host', async () => {
      await run('create', 'rolebinding', role, '--clusterrole', role, '--user', role, '--namespace', 'team')
      const places = [
        ...[...kinds, ...kinds.map((kind) => `${kind}/status`)].map((resource) => ({ resource })),
        ...group('images', 'virtualmachines', 'images/status').flatMap((resource) => [
          { resource, namespace: 'team' },
          { resource, namespace: 'other' },
        ]),
        { resource: 'virtualmachines.berth.dev/status', namespace: 'team' },
      ]
      const subject = { user: role, groups: ['system:authenticated'] }
      const wanted = { ...catalogue, ...expected }
      // The controller manager puts the parts of these roles together, in its own time.
      const parts = (expected['team: images.berth.dev'] ?? '').split(' ')
      const questions = parts.map((verb) => ({ verb, resource: 'images.berth.dev', namespace: 'team' }))
      await until(`${role} is put together`, async () => (await allowed(plane, subject, questions)).every(Boolean))
      expect(await granted(subject, places)).toEqual(wanted)
    })
  })

  test('who runs the hosts may do all but write what the controller says', async () => {
    await run('create', 'clusterrolebinding', 'olga', '--clusterrole', 'berth-administrator', '--user', 'olga')
    const places = [...kinds, ...kinds.map((kind) => `${kind}/status`), 'secrets'].map((resource) => ({ resource }))
    expect(await granted({ user: 'olga', groups: ['system:authenticated'] }, places)).toEqual(
      Object.fromEntries(kinds.map((kind) => [kind, kind.startsWith('addressleases') ? 'get list watch' : all])),
    )
  })
})

describe('the controller, with the chart’s account', () => {
  let controller: ControllerProcess
  const log = () => readFileSync(controller.log, 'utf8')

  beforeAll(async () => {
    const page = readFileSync(join(root, 'docs/installation.md'), 'utf8')
    const script = /<!-- test\/integration\/helm runs this\. -->\n```sh\n([^`]*)```/.exec(page)?.[1]
    if (script === undefined) throw new Error('docs/installation.md does not say how')
    await runOrFail('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: directory,
      env: { KUBECONFIG: plane.kubeconfig, PATH: `${dirname(plane.kubectl)}:${process.env['PATH']}` },
    })
    controller = startController({
      kubeconfig: join(directory, 'berth.kubeconfig'),
      imageStore: join(directory, 'images'),
      log: join(directory, 'controller.log'),
      namespace,
      arguments: ['--lease-duration=6s', '--renew-deadline=4s', '--retry-period=1s', '--log-level=debug'],
    })
  })
  afterAll(() => controller?.stop())

  test('is the account and not the administrator', async () => {
    const config = `--kubeconfig=${join(directory, 'berth.kubeconfig')}`
    const who = await runOrFail(plane.kubectl, [
      config,
      'auth',
      'whoami',
      '--output=jsonpath={.status.userInfo.username}',
    ])
    expect(who).toBe(account.user)
  })

  test('leads, makes slots, and says what is wrong with each object', async () => {
    const hypervisor = (slots: number) => ({
      apiVersion: 'berth.dev/v1alpha1',
      kind: 'Hypervisor',
      metadata: { name: 'kvm1' },
      spec: {
        // Nothing listens there; but the Secret is missed first.
        libvirt: { uri: 'qemu+tls://127.0.0.1:1/system' },
        credentials: { secretRef: { name: 'kvm1' } },
        slots: [{ name: 'tiny', count: slots, size: 'tiny' }],
      },
    })
    const source = { http: { url: 'http://127.0.0.1:1/a.qcow2', checksum: `sha256:${'0'.repeat(64)}` } }
    const apiVersion = 'berth.dev/v1alpha1'
    await apply(
      manifests.size('tiny', 1, '128Mi'),
      hypervisor(2),
      { apiVersion, kind: 'StoragePool', metadata: { name: 'disks' }, spec: { hypervisor: 'kvm1', type: 'Directory' } },
      {
        apiVersion,
        kind: 'Network',
        metadata: { name: 'lan' },
        spec: { attachments: [{ hypervisor: 'kvm1', libvirtNetwork: 'default' }] },
      },
      { apiVersion, kind: 'ClusterImage', metadata: { name: 'debian' }, spec: { source } },
      { apiVersion, kind: 'Image', metadata: { name: 'own', namespace: 'team' }, spec: { source } },
    )
    const wait = (what: string, look: () => Promise<boolean>) => until(what, look, { timeout: 40_000 })
    await wait('SecretNotFound', async () => (await ready('hypervisor.berth.dev/kvm1')) === 'False SecretNotFound')
    // Only now: a machine from before the leader's term is not let go of until an earlier leader's calls are over.
    await apply(manifests.virtualMachine('web', { size: 'tiny', image: { name: 'own' } }, 'team'))
    await wait('two slots', async () => {
      const phases = await run('get', 'slots.berth.dev', '--output=jsonpath={.items[*].status.phase}')
      return phases === 'Unavailable Unavailable'
    })
    await wait('the pool’s status', async () => /^False \w+/.test(await ready('storagepool.berth.dev/disks')))
    await wait('the network’s status', async () => /^\w+ \w+/.test(await ready('network.berth.dev/lan')))
    await wait('the image’s status', async () => /^\w+ \w+/.test(await ready('clusterimage.berth.dev/debian')))
    await wait('an Image’s status', async () => /^\w+ \w+/.test(await ready('image.berth.dev/own', '-n', 'team')))
    await wait('the machine’s status', async () =>
      /^False Waiting/.test(await ready('virtualmachine.berth.dev/web', '-n', 'team')),
    )
    await wait('an Event', async () => {
      const selector = '--field-selector=regarding.kind=Hypervisor,regarding.name=kvm1'
      const reasons = await run(
        'get',
        'events.events.k8s.io',
        '-n',
        'default',
        selector,
        '-o=jsonpath={.items[*].reason}',
      )
      return reasons.includes('SecretNotFound')
    })

    // Once there, the Secret is read: that it has no keys is said of it.
    await run('create', 'secret', 'generic', 'kvm1', '--namespace', namespace, '--from-literal=note=empty')
    await apply(hypervisor(1))
    await wait('SecretKeyMissing', async () => (await ready('hypervisor.berth.dev/kvm1')) === 'False SecretKeyMissing')
    await wait(
      'one slot',
      async () => (await run('get', 'slots.berth.dev', '--output=name')).trim().split('\n').length === 1,
    )

    await run('delete', 'virtualmachine.berth.dev', 'web', '--namespace=team', '--timeout=40s')
    await run('delete', 'image.berth.dev', 'own', '--namespace=team', '--timeout=40s')
    await run('delete', 'storagepool.berth.dev', 'disks', '--timeout=40s')
    expect(
      await run('get', 'lease', 'berth-controller', '-n', namespace, '-o=jsonpath={.spec.holderIdentity}'),
    ).toBeTruthy()
  })

  test('was forbidden nothing', async () => {
    await controller.stop()
    expect(await controller.ended).toBe(0)
    expect(log()).toContain('"step":')
    expect(log()).not.toMatch(/forbidden|APIRefused/i)
  })
})

describe('later', () => {
  const upgrade = (...args: readonly string[]) =>
    helm.run('upgrade', 'berth', chart, '--namespace', namespace, '--reset-then-reuse-values', ...args)

  test('an upgrade brings the controller into the cluster, and to users’ Secrets where it is allowed', async () => {
    await run('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
    await upgrade(
      '--set=controller.enabled=true,image.repository=registry.example.org/berth',
      '--set=controller.settings.logLevel=debug,userNamespaces={team}',
    )
    const get = { verb: 'get', resource: 'secrets' }
    const questions = ['team', 'other'].flatMap((scope) => [
      { ...get, namespace: scope },
      { ...get, verb: 'list', namespace: scope },
    ])
    expect(await allowed(plane, account, questions)).toEqual([true, false, false, false])
    // There is no node, but the pods that wait for one were let in: they keep to the level restricted.
    const pods = () => run('get', 'pods', '-n', namespace, '--output=jsonpath={.items[*].spec.containers[0].image}')
    const image = 'registry.example.org/berth:0.1.0'
    await until('two pods', async () => (await pods()) === `${image} ${image}`, { timeout: 30_000 })
    const budget = await run('get', 'pdb', 'berth-controller', '-n', namespace, '-o=jsonpath={.spec.maxUnavailable}')
    expect(budget).toBe('1')
    await run('get', 'service', 'berth-metrics', '--namespace', namespace)
  })

  test('definitions that are no more the chart’s stay', async () => {
    await upgrade('--set=crds.install=false')
    expect(await run('get', 'hypervisors.berth.dev', '--output=name')).toBe('hypervisor.berth.dev/kvm1\n')
    await upgrade('--set=crds.install=true')
  })

  test('uninstalling keeps definitions and objects, and takes the rest away', async () => {
    await helm.run('uninstall', 'berth', '--namespace', namespace)
    expect(await run('get', 'hypervisors.berth.dev,virtualmachinesizes.berth.dev', '--output=name')).toBe(
      'hypervisor.berth.dev/kvm1\nvirtualmachinesize.berth.dev/tiny\n',
    )
    expect(
      await run('get', 'clusterroles,clusterrolebindings,deployments', '-A', '-l', 'app.kubernetes.io/name=berth'),
    ).toBe('')
    const questions = [{ verb: 'list', resource: 'virtualmachines.berth.dev' }]
    expect(await allowed(plane, account, questions)).toEqual([false])
  })

  test('an installation after that goes on with them, under another name too when it is told to', async () => {
    const install = ['--namespace', namespace, '--set=controller.enabled=false']
    expect(await helm.fail('install', 'other', chart, ...install)).toContain('release-name')
    await helm.run('install', 'other', chart, ...install, '--take-ownership')
    await helm.run('uninstall', 'other', '--namespace', namespace)
    await helm.run('install', 'berth', chart, ...install, '--take-ownership')
    expect(await run('get', 'hypervisors.berth.dev', '--output=name')).toBe('hypervisor.berth.dev/kvm1\n')
  })
})
