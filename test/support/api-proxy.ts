/** An HTTP proxy before the API server that lies as told: what a controller sees of a bad network, or of a server in trouble. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { loadCredentials } from '../../controller/kube/index.ts'
import { linesOf } from '../../controller/kube/lines.ts'
import { systemClock } from '../../controller/runtime/index.ts'
import { runDirectory } from '../../hack/setup/directories.mjs'

export interface SeenRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly watch: boolean
  readonly body: string
}

export type Fault =
  /** Answers itself; the server never sees the request. */
  | { readonly do: 'answer'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Never answers; the server never sees it. */
  | { readonly do: 'hang' }
  /** Cuts the connection; the server never sees it. */
  | { readonly do: 'cut' }
  /** The server does it, and the answer is lost with the connection. */
  | { readonly do: 'commit-then-cut' }
  /** The server does it, and the answer never comes. */
  | { readonly do: 'commit-then-hang' }
  /** Of a watch: half of the first line, then the connection is cut. */
  | { readonly do: 'half-line' }
  /** Of a watch: it opens, and nothing ever comes. */
  | { readonly do: 'silence' }

/** Changes of objects and their status: not what a leader does to lead, nor its history. */
export const changesObjects = ({ method, path }: SeenRequest): boolean =>
  method !== 'GET' && !path.includes('/leases') && !path.includes('/events')

export class APIProxy {
  /** As a user without credentials of its own: the proxy has the administrator's. */
  readonly kubeconfig: string
  readonly requests: SeenRequest[] = []
  /** What is done to a request. Undefined: it goes through. */
  fault: (request: SeenRequest) => Fault | undefined = () => undefined
  /** What is made of each line of a watch; while it is pending, those after it wait. */
  watchLine: (request: SeenRequest, line: string) => readonly string[] | Promise<readonly string[]> = (_, line) => [
    line,
  ]
  readonly #stop: () => void

  private constructor(kubeconfig: string, stop: () => void) {
    this.kubeconfig = kubeconfig
    this.#stop = stop
  }

  static async start(target: { readonly kubeconfig: string }): Promise<APIProxy> {
    const credentials = await loadCredentials({ kubeconfig: target.kubeconfig, clock: systemClock })
    const { tls } = await credentials.current()
    const agent = new Agent({ ...tls, keepAlive: true })
    const server = createServer((incoming, outgoing) => {
      void proxy.#serve(incoming, outgoing, credentials.server, agent)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const directory = mkdtempSync(join(runDirectory, 'api-proxy-'))
    const kubeconfig = join(directory, 'kubeconfig')
    writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(url)))
    const proxy = new APIProxy(kubeconfig, () => {
      server.closeAllConnections()
      server.close()
      agent.destroy()
      rmSync(directory, { recursive: true, force: true })
    })
    return proxy
  }

  /** Everything goes through again; what hangs goes on hanging, as it does in life. */
  heal(): void {
    this.fault = () => undefined
    this.watchLine = (_, line) => [line]
  }

  stop(): void {
    this.#stop()
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse, server: URL, agent: Agent): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const path = incoming.url ?? '/'
    const seen: SeenRequest = {
      method: incoming.method ?? 'GET',
      path,
      watch: /[?&]watch=(true|1)/.test(path),
      body: body.toString(),
    }
    this.requests.push(seen)
    const fault = this.fault(seen)
    if (fault?.do === 'hang') return
    if (fault?.do === 'cut') {
      outgoing.destroy()
      return
    }
    if (fault?.do === 'answer') {
      answer(outgoing, fault)
      return
    }
    const { host: _, connection: __, ...headers } = incoming.headers
    const forwarded = httpsRequest(
      new URL(path, server),
      { method: seen.method, headers: { ...headers, 'content-length': body.length }, agent },
      (response) => void this.#answer(seen, fault, response, outgoing),
    )
    outgoing.once('close', () => forwarded.destroy())
    forwarded.once('error', () => outgoing.destroy())
    forwarded.end(body)
  }

  async #answer(
    seen: SeenRequest,
    fault: Fault | undefined,
    response: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<void> {
    try {
      if (fault?.do === 'commit-then-cut' || fault?.do === 'commit-then-hang') {
        for await (const _ of response);
        if (fault.do === 'commit-then-cut') outgoing.destroy()
        return
      }
      outgoing.writeHead(response.statusCode ?? 502, response.headers)
      if (!seen.watch || response.statusCode !== 200) {
        response.pipe(outgoing)
        return
      }
      outgoing.flushHeaders()
      if (fault?.do === 'silence') {
        for await (const _ of response);
        return
      }
      for await (const line of linesOf(response)) {
        if (fault?.do === 'half-line') {
          outgoing.write(line.slice(0, line.length / 2), () => outgoing.destroy())
          return
        }
        for (const made of await this.watchLine(seen, line)) outgoing.write(`${made}\n`)
      }
      outgoing.end()
    } catch {
      outgoing.destroy()
    }
  }
}

/** client-node takes plain HTTP only where TLS is not to be verified. */
const kubeconfigOf = (server: string) => ({
  apiVersion: 'v1',
  kind: 'Config',
  'current-context': 'proxy',
  clusters: [{ name: 'proxy', cluster: { server, 'insecure-skip-tls-verify': true } }],
  contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'proxy' } }],
  users: [{ name: 'proxy', user: {} }],
})

const reasons: Readonly<Record<number, string>> = {
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}

/** As the API server says it: a Status object. */
function answer(outgoing: ServerResponse, { status, headers }: Extract<Fault, { do: 'answer' }>): void {
  outgoing.writeHead(status, { 'content-type': 'application/json', ...headers })
  outgoing.end(
    JSON.stringify({
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      message: `the proxy says ${status}`,
      reason: reasons[status],
      code: status,
    }),
  )
}
