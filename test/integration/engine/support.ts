import { pino } from 'pino'
import type { KubeObject, Resource } from '../../../controller/kube/index.ts'
import {
  APIClient,
  type Guard,
  ListWatchInformer,
  loadCredentials,
  type SentRequest,
  Transport,
  unguarded,
} from '../../../controller/kube/index.ts'
import { type Condition, systemClock } from '../../../controller/runtime/index.ts'

export const quiet = pino({ level: 'silent' })

export async function connect(
  kubeconfig: string,
  guard: Guard = unguarded,
  onRequest: (request: SentRequest) => void = () => {},
) {
  const credentials = await loadCredentials({ kubeconfig, clock: systemClock })
  const transport = new Transport({ credentials, clock: systemClock, onRequest })
  return { transport, client: new APIClient(transport, guard) }
}

export interface VirtualMachine extends KubeObject {
  readonly spec: Readonly<Record<string, unknown>>
  readonly status?: { readonly slot?: string; readonly hypervisor?: string; readonly conditions?: readonly Condition[] }
}
export const virtualMachines: Resource<VirtualMachine> = {
  apiVersion: 'berth.dev/v1alpha1',
  kind: 'VirtualMachine',
  plural: 'virtualmachines',
  namespaced: true,
}
export const virtualMachine = (namespace: string, name: string): VirtualMachine => ({
  apiVersion: virtualMachines.apiVersion,
  kind: 'VirtualMachine',
  metadata: { name, namespace },
  spec: { size: 'small', image: { name: 'debian-12' } },
})

/** Watches ConfigMaps of a namespace: a kind that needs no definition. */
export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}
export const configMaps: Resource<ConfigMap> = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
}
export const configMap = (namespace: string, name: string, value: string): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data: { value },
})

export function watch<T extends KubeObject>(transport: Transport, resource: Resource<T>, namespace: string) {
  const informer = new ListWatchInformer<T>({
    transport,
    resource,
    namespace,
    clock: systemClock,
    log: quiet,
    backoff: { base: 50, max: 500 },
  })
  const told: string[] = []
  informer.onChange(({ type, object }) => told.push(`${type} ${object.metadata.name}`))
  const stop = new AbortController()
  const running = informer.run(stop.signal)
  return {
    informer,
    told,
    async stop() {
      stop.abort()
      await running
    },
  }
}

/** Waits until `look` gives something; at most `limit` ms. */
export async function eventually<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  limit = 30_000,
) {
  const end = performance.now() + limit
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > end) throw new Error(`not within ${limit / 1000} s: ${look}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
