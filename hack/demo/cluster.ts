import { join } from 'node:path'
import { controlPlaneBinaries } from '../control-plane/binaries.mjs'
import { type ControlPlane, startControlPlane } from '../control-plane/index.ts'
import { type ProcessResult, run } from '../hypervisor/process.ts'
import { root } from '../setup/directories.mjs'

/** The cluster that the demonstration works in: one of its own, or a context of yours. */
export interface Cluster {
  readonly kubeconfig: string | undefined
  readonly context: string | undefined
  /** What to type to use it. */
  readonly kubectlCommand: string
  /** Rejects with what kubectl said, unless it succeeds. */
  kubectl(args: readonly string[], input?: string): Promise<string>
  stop(): Promise<void>
}

export async function openCluster(context: string | undefined): Promise<Cluster> {
  if (context !== undefined) return clusterOf(undefined, context, undefined)
  const controlPlane = await startControlPlane()
  return clusterOf(controlPlane.kubeconfig, undefined, controlPlane)
}

function clusterOf(
  kubeconfig: string | undefined,
  context: string | undefined,
  controlPlane: ControlPlane | undefined,
): Cluster {
  const { kubectl } = controlPlaneBinaries()
  const target = [
    ...(kubeconfig === undefined ? [] : [`--kubeconfig=${kubeconfig}`]),
    ...(context === undefined ? [] : [`--context=${context}`]),
  ]
  return {
    kubeconfig,
    context,
    kubectlCommand: [kubectl, ...target].join(' '),
    async kubectl(args, input) {
      const result: ProcessResult = await run(kubectl, [...target, ...args], input === undefined ? {} : { input })
      if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr.trim()}`)
      return result.stdout
    },
    stop: async () => controlPlane?.stop(),
  }
}

/** The custom resource definitions, the admission policies and Berth's own namespace. */
export async function installBerth(cluster: Cluster): Promise<void> {
  await cluster.kubectl(['apply', '--server-side', '--filename', join(root, 'crds')])
  await cluster.kubectl(['wait', '--for=condition=Established', '--timeout=60s', '--filename', join(root, 'crds')])
  await cluster.kubectl(['apply', '--server-side', '--filename', join(root, 'helm/berth/policies')])
  await cluster.kubectl(
    ['apply', '--filename', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'berth-system' } }),
  )
}
