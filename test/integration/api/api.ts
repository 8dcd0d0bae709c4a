import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { parse } from 'yaml'
import { group, version } from '../../../controller/api/names.ts'
import type { Kind, Manifest } from './manifests.ts'

export interface Reply {
  readonly status: number
  readonly body: Manifest
}

/** Requests to the API server, for tables of cases: a process of kubectl for each takes too long. */
export interface API {
  /** Strict: an unknown field is an error, as with kubectl. */
  create(object: Manifest, options?: { dryRun?: boolean }): Promise<Reply>
  replace(object: Manifest): Promise<Reply>
  replaceStatus(object: Manifest): Promise<Reply>
  delete(object: Manifest): Promise<Reply>
  close(): void
}

const plurals: Readonly<Record<Kind, string>> = {
  Hypervisor: 'hypervisors',
  Slot: 'slots',
  StoragePool: 'storagepools',
  Network: 'networks',
  AddressLease: 'addressleases',
  VirtualMachineSize: 'virtualmachinesizes',
  ClusterImage: 'clusterimages',
  Image: 'images',
  VirtualMachine: 'virtualmachines',
}

export async function connect(kubeconfig: string): Promise<API> {
  const { clusters, users } = parse(await readFile(kubeconfig, 'utf8'))
  const decoded = (text: string) => Buffer.from(text, 'base64')
  const { server, 'certificate-authority-data': ca } = clusters[0].cluster
  const { 'client-certificate-data': cert, 'client-key-data': key } = users[0].user
  const agent = new Agent({ keepAlive: true, ca: decoded(ca), cert: decoded(cert), key: decoded(key) })

  const send = (method: string, path: string, object?: Manifest): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const call = request(`${server}${path}`, { method, agent, headers: { 'content-type': 'application/json' } })
      call.on('error', reject)
      call.on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('error', reject)
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parseBody(text) }))
      })
      call.end(object === undefined ? undefined : JSON.stringify(object))
    })

  return {
    create: (object, { dryRun = false } = {}) =>
      send('POST', `${folderOf(object)}?fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`, object),
    replace: (object) => send('PUT', `${pathOf(object)}?fieldValidation=Strict`, object),
    replaceStatus: (object) => send('PUT', `${pathOf(object)}/status?fieldValidation=Strict`, object),
    delete: (object) => send('DELETE', pathOf(object)),
    close: () => agent.destroy(),
  }
}

/** What the API server says in refusing; fails where it did not refuse. */
export function refused({ status, body }: Reply): string {
  if (status !== 422) throw new Error(`the API server should have refused, but answered ${status}: ${body['message']}`)
  return String(body['message'])
}

/** The object, where it was accepted. */
export function accepted({ status, body }: Reply): Manifest {
  if (status >= 300) throw new Error(`the API server answered ${status}: ${body['message']}`)
  return body
}

function folderOf(object: Manifest): string {
  const { namespace } = object['metadata'] as { namespace?: string }
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`
  return `/apis/${group}/${version}${scope}/${plurals[object['kind'] as Kind]}`
}

const pathOf = (object: Manifest): string => `${folderOf(object)}/${(object['metadata'] as { name: string }).name}`

const parseBody = (text: string): Manifest => {
  try {
    return JSON.parse(text)
  } catch {
    return { message: text }
  }
}
