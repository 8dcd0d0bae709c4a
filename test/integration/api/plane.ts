import { join } from 'node:path'
import { type ControlPlane, startControlPlane } from '../../../hack/control-plane/index.ts'
import { type API, connect } from './api.ts'
import { type Kubectl, kubectlOf, succeeds } from './kubectl.ts'

export const root = join(import.meta.dirname, '../../..')

export interface Plane {
  readonly kubectl: Kubectl
  readonly api: API
  stop(): Promise<void>
}

/** A real API server that knows our kinds. */
export async function startPlane(): Promise<Plane> {
  const plane: ControlPlane = await startControlPlane({ controllerManager: false })
  try {
    const kubectl = kubectlOf(plane)
    await succeeds(kubectl(['apply', '-f', join(root, 'crds')]))
    await succeeds(kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']))
    await succeeds(kubectl(['apply', '-f', join(root, 'helm/berth/policies')]))
    const api = await connect(plane.kubeconfig)
    const stop = () => {
      api.close()
      return plane.stop()
    }
    return { kubectl, api, stop }
  } catch (error) {
    await plane.stop()
    throw error
  }
}
