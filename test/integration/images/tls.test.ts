import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createImageService, type HttpSource, type ImageService, type ImageState } from '../../../images/index.ts'
import { rawDisk } from '../../../images/testing/content.ts'
import { settled } from '../../../images/testing/until.ts'

const run = promisify(execFile)
const content = rawDisk(100_000)
let directory: string
let server: Server
let caBundle: string
let service: ImageService
let redirectTo: string | undefined

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-images-tls-'))
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const subject = ['-subj', '/CN=images.test', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  await run('openssl', ['req', '-x509', ...kind, ...subject, '-keyout', key, '-out', cert])
  caBundle = await readFile(cert, 'utf8')
  server = createServer({ key: await readFile(key), cert: caBundle }, (_request, response) => {
    if (redirectTo) response.writeHead(302, { location: redirectTo }).end()
    else response.end(content)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const lookup = (
    _name: string,
    _options: object,
    done: (error: null, found: { address: string; family: number }[]) => void,
  ) => done(null, [{ address: '127.0.0.1', family: 4 }])
  service = await createImageService({
    directory: join(directory, 'store'),
    addressPolicy: { lookup },
    limits: { reservedSpace: 0 },
  })
})

afterAll(async () => {
  await service.close()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(directory, { recursive: true, force: true })
})

async function fetched(id: string, source: Partial<HttpSource>, host = '127.0.0.1'): Promise<ImageState> {
  const { port } = server.address() as AddressInfo
  await service.ensure({ id, source: { url: `https://${host}:${port}/disk`, ...source } })
  return settled(service, id)
}

test('a certificate that nobody vouches for is refused, and that is final', async () => {
  expect(await fetched('unknown', {})).toMatchObject({
    state: 'Failed',
    failure: 'CertificateInvalid',
    message: expect.stringContaining('set caBundle'),
  })
})

test('a certificate of the CA bundle is accepted', async () => {
  expect(await fetched('trusted', { caBundle })).toMatchObject({ state: 'Ready' })
})

test('a certificate for another name is refused', async () => {
  expect(await fetched('name', { caBundle }, 'other.test')).toMatchObject({ failure: 'CertificateInvalid' })
})

test('a redirect from https to http needs a checksum, or whoever is on the way chooses the content', async () => {
  redirectTo = 'http://127.0.0.1:1/disk'
  expect(await fetched('downgrade', { caBundle })).toMatchObject({ state: 'Failed', failure: 'SourceForbidden' })
  redirectTo = undefined
})
