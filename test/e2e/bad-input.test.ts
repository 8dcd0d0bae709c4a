/** Wrong input gets an answer in the right place, and nothing else suffers (design, invariants 7 and 10). */
import { execFile } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { ClusterImage, Hypervisor, VirtualMachine } from '../../controller/api/index.ts'
import * as manifests from '../../hack/lab/manifests.ts'
import { until } from '../../hack/lab/wait.ts'
import { Lab, patience } from './lab.ts'

let lab: Lab
const silent: Server[] = []

beforeAll(async () => {
  lab = await Lab.start(1)
  lab.startController()
  await lab.declare(2)
  await lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
})
afterAll(async () => {
  for (const server of silent) server.close()
  await lab?.stop()
})

const image = (name: string, http: Record<string, unknown>) =>
  lab.apply(
    JSON.stringify({
      apiVersion: 'berth.dev/v1alpha1',
      kind: 'ClusterImage',
      metadata: { name },
      spec: { source: { http } },
    }),
  )
const message = (object: { status?: { conditions?: readonly { type: string; message: string }[] } }, type = 'Ready') =>
  object.status?.conditions?.find((condition) => condition.type === type)?.message

describe('images', () => {
  test('a URL where there is nothing', async () => {
    await image('missing', { url: `${lab.images.url}/missing.qcow2`, checksumPolicy: 'Waived' })
    expect(message(await lab.condition('clusterimages', 'missing', 'Ready', 'False', 'NotFound'))).toContain('404')
    await lab.condition('clusterimages', 'missing', 'Stalled', 'True')
  })

  test('a wrong checksum', async () => {
    await image('wrong', { url: `${lab.images.url}/reference.qcow2`, checksum: `sha256:${'0'.repeat(64)}` })
    const failed = await lab.condition<ClusterImage>('clusterimages', 'wrong', 'Ready', 'False', 'ChecksumMismatch')
    expect(failed.status?.digest).toBeUndefined()
    await lab.condition('clusterimages', 'wrong', 'Verified', 'False', 'ChecksumMismatch')
  })

  test('a download that is cut off is never taken for whole, and goes on where it was once the server recovers', async () => {
    const served = { file: lab.reference.path, cutAfter: 4 * 1024 * 1024 }
    lab.images.files.set('/cut.qcow2', served)
    await image('cut', { url: `${lab.images.url}/cut.qcow2`, checksum: `sha256:${lab.reference.sha256}` })
    const held = await lab.condition<ClusterImage>('clusterimages', 'cut', 'Ready', 'False', 'TemporaryFailure')
    expect(held.status?.digest).toBeUndefined()
    lab.images.files.set('/cut.qcow2', { file: lab.reference.path })
    expect((await lab.condition<ClusterImage>('clusterimages', 'cut', 'Ready', 'True')).status?.digest).toBe(
      lab.reference.sha256,
    )
  })

  test('an image that names a backing file is refused, and a machine that wants it says so', async () => {
    const file = `${lab.directory}/hostile.qcow2`
    await promisify(execFile)('qemu-img', [
      'create',
      '-q',
      '-u',
      '-f',
      'qcow2',
      '-b',
      '/etc/passwd',
      '-F',
      'raw',
      file,
      '1M',
    ])
    lab.images.files.set('/hostile.qcow2', { file })
    await image('hostile', { url: `${lab.images.url}/hostile.qcow2`, checksumPolicy: 'Waived' })
    expect(message(await lab.condition('clusterimages', 'hostile', 'Ready', 'False', 'UnsafeFormat'))).toContain(
      'backing',
    )
    await lab.apply(lab.machine('wants-hostile', { image: { name: 'hostile' } }))
    await lab.condition('virtualmachines', 'wants-hostile', 'ImageReady', 'False', 'ImageFailed')
    await lab.remove('virtualmachines', 'wants-hostile')
  })

  test('progress is bytes done over bytes total, and rises', async () => {
    lab.images.files.set('/slow.qcow2', { file: lab.reference.path, bytesPerSecond: 4 * 1024 * 1024 })
    await image('slow', { url: `${lab.images.url}/slow.qcow2`, checksum: `sha256:${lab.reference.sha256}` })
    const seen: number[] = []
    await until(
      'the image is ready',
      async () => {
        const status = (await lab.get<ClusterImage>('clusterimages', 'slow'))?.status
        if (status?.state === 'Fetching') {
          const [, done] =
            /^(\d+) of (\d+) bytes/.exec(status.conditions?.find(({ type }) => type === 'Fetched')?.message ?? '') ?? []
          if (done !== undefined && Number(done) !== seen.at(-1)) seen.push(Number(done))
        }
        return status?.state === 'Ready'
      },
      patience,
    )
    expect(seen.length).toBeGreaterThanOrEqual(2)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(seen.at(-1)).toBeLessThanOrEqual(lab.reference.size)
  })
})

describe('machines', () => {
  test.each<[string, Record<string, unknown>, string, string, string]>([
    ['an unknown size', { size: 'giant' }, 'Placed', 'DependencyNotFound', 'spec.size'],
    ['an unknown image', { image: { name: 'nowhere' } }, 'ImageReady', 'ImageNotFound', 'spec.image'],
    [
      'an unknown network',
      { networkInterfaces: [{ name: 'eth0', network: 'nowhere' }] },
      'NetworkReady',
      'NetworkNotFound',
      'spec.networkInterfaces[0].network',
    ],
    [
      'more memory than any slot has',
      { size: undefined, resources: { cpus: 1, memory: '64Gi' } },
      'Placed',
      'NoHypervisorFits',
      'Memory',
    ],
    [
      'a disk smaller than its image',
      { disks: [{ name: 'root', size: '1Mi' }] },
      'DisksReady',
      'SmallerThanImage',
      'spec.disks[root].size',
    ],
    [
      'a Secret that is not there',
      { bootstrap: { cloudInit: { userDataSecretRef: { name: 'nowhere', key: 'x' } } } },
      'BootstrapReady',
      'SecretNotFound',
      'userDataSecretRef',
    ],
  ])('%s is answered in its condition, and no slot is taken for it', async (_, spec, type, reason, named) => {
    const name = `bad-${reason.toLowerCase()}`
    await lab.condition('clusterimages', 'reference', 'Ready', 'True')
    await lab.apply(lab.machine(name, spec))
    const vm = await lab.condition<VirtualMachine>('virtualmachines', name, type, 'False', reason)
    expect(message(vm, type)).toContain(named)
    expect(vm.status?.slot).toBeUndefined()
    await lab.condition('virtualmachines', name, 'Ready', 'False', reason)
    await lab.remove('virtualmachines', name)
  })

  test('what is missing may come later: the machine goes on by itself', async () => {
    await lab.apply(lab.machine('early', { size: 'late', shutdownMode: 'Hard' }))
    await lab.condition('virtualmachines', 'early', 'Placed', 'False', 'DependencyNotFound')
    await lab.apply(manifests.list(manifests.size('late', 1, '112Mi')))
    await lab.running('early')
    await lab.remove('virtualmachines', 'early')
  })

  test('a key that is no key is refused by the API server, with the field and the mend', async () => {
    const refused = lab.apply(lab.machine('keyless', { bootstrap: { sshAuthorizedKeys: ['not a key'] } }))
    await expect(refused).rejects.toThrow(/sshAuthorizedKeys.*each must be one line of an OpenSSH public key file/s)
  })
})

describe('hypervisors', () => {
  const hypervisor = (name: string, uri: string, credentials?: Record<string, unknown>) =>
    lab.apply(
      JSON.stringify({
        apiVersion: 'berth.dev/v1alpha1',
        kind: 'Hypervisor',
        metadata: { name },
        spec: {
          libvirt: { uri },
          limits: { callTimeout: '3s' },
          ...(credentials === undefined ? {} : { credentials }),
        },
      }),
    )

  test('one that refuses the connection, and one that never answers', async () => {
    const server = createServer(() => undefined)
    silent.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const credentials = { secretRef: { name: 'kvm1' } }
    await hypervisor('hangs', `qemu+tls://127.0.0.1:${port}/system`, credentials)
    await hypervisor('refuses', 'qemu+tls://127.0.0.1:1/system', credentials)
    await lab.condition('hypervisors', 'refuses', 'Ready', 'False', 'HypervisorUnreachable')
    await lab.condition('hypervisors', 'hangs', 'Ready', 'False')
    // Nothing else suffers.
    await lab.condition('hypervisors', 'kvm1', 'Ready', 'True')
    await lab.apply(lab.machine('beside', { shutdownMode: 'Hard' }))
    await lab.running('beside')
    await lab.remove('virtualmachines', 'beside')
  })

  test('one whose certificate is of another authority', async () => {
    const [good] = lab.hypervisors
    const { stdout } = await promisify(execFile)('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      '/dev/null',
      '-subj',
      '/CN=stranger',
      '-days',
      '1',
    ])
    const secret = manifests.hypervisorSecret('stranger', 'berth-system', good as NonNullable<typeof good>)
    const data = { ...(secret['data'] as Record<string, string>), 'ca.crt': Buffer.from(stdout).toString('base64') }
    await lab.apply(JSON.stringify({ ...secret, data }))
    await hypervisor('stranger', good?.tlsUri ?? '', { secretRef: { name: 'stranger' } })
    const refused = await lab.condition<Hypervisor>('hypervisors', 'stranger', 'Ready', 'False', 'CertificateInvalid')
    expect(JSON.stringify(refused.status)).not.toContain('PRIVATE KEY')
  })

  test('one that does not take our certificate', async () => {
    const [good] = lab.hypervisors
    const { unlisted } = good?.pki ?? {}
    const secret = manifests.hypervisorSecret('unlisted', 'berth-system', {
      ...good,
      pki: { ...good?.pki, ...unlisted },
    } as NonNullable<typeof good>)
    await lab.apply(JSON.stringify(secret))
    await hypervisor('unlisted', good?.tlsUri ?? '', { secretRef: { name: 'unlisted' } })
    await lab.condition('hypervisors', 'unlisted', 'CredentialsValid', 'False', 'LoginFailed')
  })

  test('a Secret that is missing, then comes', async () => {
    const [good] = lab.hypervisors
    await hypervisor('keyless', good?.tlsUri ?? '', { secretRef: { name: 'late' } })
    const waiting = await lab.condition<Hypervisor>(
      'hypervisors',
      'keyless',
      'CredentialsValid',
      'False',
      'SecretNotFound',
    )
    expect(message(waiting)).toContain('there is no Secret late in namespace berth-system')
  })
})
