import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSimulator } from '@berth/xapi-simulator'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createPki, type Pki } from '../../../hack/hypervisor/pki.ts'

let directory: string
let pki: Pki

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'berth-xapi-'))
  pki = await createPki(directory, '127.0.0.1')
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** The status of an answer over TLS, or the code of what kept it from coming. */
function ask(url: string, ca?: string): Promise<number | string | undefined> {
  return new Promise((resolve) => {
    get(url, { agent: false, ...(ca === undefined ? {} : { ca }) }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
  })
}

test('over TLS a pool is trusted by who has its authority, and by nobody else', async () => {
  const certificateAuthority = readFileSync(pki.ca, 'utf8')
  const { certificate, key } = pki.server
  const simulator = await startSimulator({
    pools: [{ name: 'pool', user: 'root', password: 'secret' }],
    tls: {
      certificateAuthority,
      certificateFor: () => ({ certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') }),
    },
  })
  try {
    const [pool] = simulator.pools
    const url = pool?.urls[0] ?? ''
    expect(url).toMatch(/^https:/)
    expect(await ask(url, pool?.certificateAuthority)).toBe(404)
    expect(await ask(url)).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  } finally {
    await simulator.stop()
  }
})
