/**
 * A real Kubernetes control plane on loopback: etcd, kube-apiserver and kube-controller-manager, without containers,
 * for tests and the demonstration. `npm run setup` builds its programs.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { runDirectory } from '../setup/directories.mjs'
import { apiServerArguments, controllerManagerArguments, etcdArguments } from './arguments.ts'
import { controlPlaneBinaries } from './binaries.mjs'
import { createCertificates } from './certificates.ts'
import { type Part, startPart } from './part.ts'
import { freePort } from './port.ts'
import { waitUntilOk } from './probe.ts'
import { createUser } from './users.ts'

export interface ControlPlaneOptions {
  /**
   * Where all state goes. It is kept when the control plane stops, and a later start there finds its data again, with
   * the API server on another port. Without it, a new directory is made, and removed by `stop`.
   */
  readonly directory?: string
  /** Namespaces are emptied, owners' dependents collected and service accounts made only with it. Default: true. */
  readonly controllerManager?: boolean
  /** Further flags of kube-apiserver, such as `--feature-gates=…`. */
  readonly apiServerArguments?: readonly string[]
}

export interface ControlPlane {
  /** Path of the administrator's kubeconfig (group system:masters). */
  readonly kubeconfig: string
  /** `https://127.0.0.1:PORT`. */
  readonly url: string
  readonly directory: string
  /** Path of kubectl, of the API server's version. */
  readonly kubectl: string
  /** Path of Helm 4. */
  readonly helm: string
  /** Process ids by the names etcd, kube-apiserver and kube-controller-manager, as they are now. */
  readonly pids: Readonly<Record<string, number>>
  /** Path of a new kubeconfig for that user, who has no rights but what RBAC gives to the name and the groups. */
  user(name: string, groups?: readonly string[]): Promise<string>
  /** Kills the API server as a crash would, and resolves when it is ready again at the same URL. */
  restartApiServer(): Promise<void>
  /** Resolves when every process has ended; safe to call again. The processes also end with this process. */
  stop(): Promise<void>
}

const portTaken = /address already in use/
const attempts = 5

/** Resolves when the API server is ready. Rejects with the programs' last lines when it cannot be. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  if (!controlPlaneBinaries().ready) throw new Error("the control plane is not built: run 'npm run setup'")
  const kept = options.directory !== undefined
  const directory = options.directory === undefined ? temporaryDirectory() : resolve(options.directory)
  try {
    mkdirSync(join(directory, 'log'), { recursive: true, mode: 0o700 })
    await createCertificates(join(directory, 'pki'))
    for (let attempt = 1; ; attempt++) {
      try {
        return await startIn(directory, kept, options)
      } catch (error) {
        if (attempt === attempts || !portTaken.test(String(error))) throw error
      }
    }
  } catch (error) {
    if (!kept) rmSync(directory, { recursive: true, force: true })
    throw error
  }
}

/** A new directory that names its owner, this process. Those of owners that are no more are removed on the way. */
function temporaryDirectory(): string {
  mkdirSync(runDirectory, { recursive: true })
  for (const name of readdirSync(runDirectory)) {
    const [, owner] = /^control-plane-(\d+)-/.exec(name) ?? []
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue
    rmSync(join(runDirectory, name), { recursive: true, force: true })
  }
  return mkdtempSync(join(runDirectory, `control-plane-${process.pid}-`))
}

async function startIn(directory: string, kept: boolean, options: ControlPlaneOptions): Promise<ControlPlane> {
  const { kubeOne, kubectl, helm } = controlPlaneBinaries()
  const port = await freePort()
  const url = `https://127.0.0.1:${port}`
  const { kubeconfig, client } = await createUser(directory, url, 'admin', ['system:masters'])

  const parts = new Map<string, Part>()
  const start = (name: string, args: readonly string[]) => {
    parts.set(name, startPart(kubeOne, directory, name, args))
  }
  const startApiServer = () => start('kube-apiserver', apiServerArguments(port, options.apiServerArguments ?? []))
  const ready = (path: string) =>
    waitUntilOk(url + path, client, () => {
      const ended = [...parts.values()].find((part) => !part.isRunning())
      return ended === undefined ? undefined : `${ended.name} ended by itself\n${ended.lastWords()}`
    })

  let stopped: Promise<void> | undefined
  const stopParts = async () => {
    // What is thrown away needs no goodbye; what is kept ends in order, etcd last.
    const inOrder = [...parts.values()].reverse()
    if (kept) for (const part of inOrder) await part.stop('SIGTERM')
    else await Promise.all(inOrder.map((part) => part.stop('SIGKILL')))
  }
  const stop = () => {
    stopped ??= stopParts().then(() => {
      if (!kept) rmSync(directory, { recursive: true, force: true })
    })
    return stopped
  }

  try {
    start('etcd', etcdArguments())
    startApiServer()
    await ready('/readyz')
    if (options.controllerManager ?? true) {
      const manager = await createUser(directory, url, 'system:kube-controller-manager', [])
      start('kube-controller-manager', controllerManagerArguments(basename(manager.kubeconfig)))
      // Until this exists, the controllers are not at work yet.
      await ready('/api/v1/namespaces/default/serviceaccounts/default')
    }
  } catch (error) {
    await stopParts()
    throw error
  }

  return {
    kubeconfig,
    url,
    directory,
    kubectl,
    helm,
    get pids() {
      return Object.fromEntries([...parts.values()].map((part) => [part.name, part.pid]))
    },
    user: async (name, groups = []) => (await createUser(directory, url, name, groups)).kubeconfig,
    async restartApiServer() {
      await parts.get('kube-apiserver')?.stop('SIGKILL')
      startApiServer()
      await ready('/readyz')
    },
    stop,
  }
}
