/** The chart without a cluster's help: what it renders to, and what it refuses. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { parse, parseAllDocuments } from 'yaml'
import { loadConfig } from '../../../controller/config/index.ts'
import { settings } from '../../../controller/config/settings.ts'
import { root } from '../../../hack/setup/directories.mjs'
import { sharedControlPlane } from '../../support/shared-control-plane.ts'
import { chart, Helm, type Manifest } from './helm.ts'

const helm = new Helm(sharedControlPlane())
afterAll(() => helm.close())

const withImage = ['--set=image.repository=registry.example.org/berth']
const names = (manifests: readonly Manifest[]) => manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`)

interface Deployment {
  readonly spec: {
    readonly replicas: number
    readonly strategy?: { readonly type: string }
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly image: string
          readonly args: readonly string[]
          readonly env?: readonly object[]
        }[]
        readonly volumes: readonly object[]
      }
    }
  }
}

async function deployment(...args: readonly string[]) {
  const [found] = await helm.render('--show-only=templates/deployment.yaml', ...withImage, ...args)
  const { spec } = found as unknown as Deployment
  const [container] = spec.template.spec.containers
  if (container === undefined) throw new Error('no container')
  return { spec, pod: spec.template.spec, container }
}

test('Helm finds no fault with it', async () => {
  await helm.run('lint', '--strict', chart, ...withImage)
})

test('without an image it says what to do instead of making pods that cannot start', async () => {
  expect(await helm.fail('template', 'berth', chart)).toMatch(
    /image\.repository is not set: no container image .* set controller\.enabled=false/,
  )
})

describe('definitions', () => {
  test('are those of crds/, and outlive the release', async () => {
    const rendered = (await helm.render('--set=controller.enabled=false')).filter(
      ({ kind }) => kind === 'CustomResourceDefinition',
    )
    const files = readdirSync(join(root, 'crds'))
    const wanted = files.map((file) => parse(readFileSync(join(root, 'crds', file), 'utf8')) as Manifest)
    const bySpec = (manifests: readonly Manifest[]) =>
      Object.fromEntries(manifests.map(({ metadata, spec }) => [metadata.name, spec]))
    expect(bySpec(rendered)).toEqual(bySpec(wanted))
    for (const { metadata } of rendered) expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' })
  })

  test('come with the admission policies of policies/, which outlive the release too', async () => {
    const folder = join(chart, 'policies')
    const wanted = readdirSync(folder).flatMap((file) =>
      parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as Manifest),
    )
    const rendered = await helm.render('--set=controller.enabled=false')
    expect(rendered.filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy'))).toEqual(wanted)
    expect(wanted.map(({ kind }) => kind).toSorted()).toEqual([
      'ValidatingAdmissionPolicy',
      'ValidatingAdmissionPolicyBinding',
    ])
    for (const { metadata } of wanted) expect(metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' })
  })

  test('can be left to the administrator', async () => {
    const rendered = await helm.render('--set=controller.enabled=false', '--set=crds.install=false')
    const kinds = rendered.map(({ kind }) => kind)
    expect(kinds).not.toContain('CustomResourceDefinition')
    expect(kinds).not.toContain('ValidatingAdmissionPolicy')
    expect(names(rendered)).toContain('ClusterRole/berth-controller')
  })
})

test('controller.enabled=false leaves account and permissions, and nothing that runs or serves', async () => {
  const rendered = await helm.render('--set=controller.enabled=false', '--set=crds.install=false')
  expect(names(rendered).toSorted()).toEqual([
    'ClusterRole/berth-administrator',
    'ClusterRole/berth-catalogue',
    'ClusterRole/berth-controller',
    'ClusterRole/berth-edit',
    'ClusterRole/berth-view',
    'ClusterRoleBinding/berth-catalogue',
    'ClusterRoleBinding/berth-controller',
    'Role/berth-controller',
    'RoleBinding/berth-controller',
    'ServiceAccount/berth-controller',
  ])
})

test('what is rendered for kubectl apply names its namespace', async () => {
  const namespaced = new Set(['Deployment', 'PodDisruptionBudget', 'Role', 'RoleBinding', 'Service', 'ServiceAccount'])
  const rendered = (await helm.render(...withImage)).filter(({ kind }) => namespaced.has(kind))
  expect(new Set(rendered.map(({ kind }) => kind))).toEqual(namespaced)
  for (const { metadata } of rendered) expect(metadata.namespace).toBe('berth-system')
})

describe('the controller', () => {
  test('understands the flags that it is given', async () => {
    const { container } = await deployment(
      '--set=controller.settings.logLevel=debug,controller.settings.workers=3',
      '--set=controller.settings.leaseDuration=30s,controller.settings.renewDeadline=20s',
      '--set=controller.settings.otlpEndpoint=http://collector:4318',
    )
    expect(loadConfig({ argv: container.args, env: {} })).toMatchObject({
      namespace: 'berth-system',
      imageStore: '/var/lib/berth/images',
      leaderElect: true,
      healthAddress: { port: 8080 },
      logLevel: 'debug',
      workers: 3,
      leaseDuration: 30_000,
      renewDeadline: 20_000,
      otlpEndpoint: 'http://collector:4318',
    })
  })

  test('has the DSN for reports from a Secret, and by default none', async () => {
    const { container } = await deployment('--set=controller.sentryDSN.secretName=sentry')
    const secretKeyRef = { name: 'sentry', key: 'dsn' }
    expect(container.env).toEqual([{ name: 'BERTH_SENTRY_DSN', valueFrom: { secretKeyRef } }])
    expect((await deployment()).container.env).toBeUndefined()
  })

  test('has every setting that the chart offers', () => {
    const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'))
    const offered = Object.keys(schema.properties.controller.properties.settings.properties)
    expect(Object.keys(settings)).toEqual(expect.arrayContaining(offered))
  })

  test.each([
    ['the version of the chart', [], 'registry.example.org/berth:0.1.0'],
    ['a tag', ['--set-string=image.tag=main'], 'registry.example.org/berth:main'],
    [
      'a digest',
      [`--set=image.digest=sha256:${'a'.repeat(64)}`],
      `registry.example.org/berth@sha256:${'a'.repeat(64)}`,
    ],
  ])('is the image of %s', async (_, args, image) => {
    expect((await deployment(...args)).container.image).toBe(image)
  })

  test('with one replica and a volume, lets go of it before the next one starts', async () => {
    const { spec, pod } = await deployment('--set=controller.replicas=1,imageStore.existingClaim=images')
    expect(spec.strategy).toEqual({ type: 'Recreate' })
    expect(pod.volumes).toEqual([{ name: 'images', persistentVolumeClaim: { claimName: 'images' } }])
    expect((await deployment()).spec.strategy).toBeUndefined()
  })

  test('mounts what hypervisors have their credentials in', async () => {
    const values = JSON.stringify({ name: 'kvm1', secret: { secretName: 'kvm1' } })
    const { pod } = await deployment(`--set-json=controller.extraVolumes=[${values}]`)
    expect(pod.volumes).toContainEqual(JSON.parse(values))
  })
})

test.each([
  ['--set=image.repositry=x', "at '/image'.*repositry"],
  ['--set=controler.enabled=false', 'controler'],
  ['--set=controller.enabled=yes', '/controller/enabled'],
  ['--set=controller.replicas=0', '/controller/replicas'],
  ['--set=controller.settings.wrokers=3', 'wrokers'],
  ['--set=controller.settings.workers=many', '/controller/settings/workers'],
  ['--set=controller.settings.leaseDuration=15', '/controller/settings/leaseDuration'],
  ['--set=image.pullPolicy=Sometimes', '/image/pullPolicy'],
  ['--set=image.digest=latest', '/image/digest'],
  ['--set=imageStore.sizeLimit=lots', '/imageStore/sizeLimit'],
  ['--set=userNamespaces=team', '/userNamespaces'],
  ['--set=userNamespaces={Team}', '/userNamespaces/0'],
  ['--set=userNamespaces={team,team}', '/userNamespaces'],
  ['--set-json=rbac.catalogueReaders=[{"kind":"Robot","name":"x"}]', '/rbac/catalogueReaders/0/kind'],
  ['--set=serviceAccount.create=false', 'serviceAccount.name is not set'],
])('a wrong value is refused with its name: %s', async (value, named) => {
  expect(await helm.fail('template', 'berth', chart, ...withImage, value)).toMatch(new RegExp(named))
})
