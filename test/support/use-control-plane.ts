import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll } from '@jest/globals'
import { createUser } from '../../hack/control-plane/users.ts'
import { kubectl, kubectlWithInput } from './kubectl.ts'
import { type SharedControlPlane, sharedControlPlane } from './shared-control-plane.ts'

export interface UsedControlPlane extends SharedControlPlane {
  /** A namespace of this call alone. It is there when the tests run. */
  readonly namespace: string
  /** Runs kubectl as the administrator; answers its output, or rejects with what it said. */
  kubectlRun(...args: string[]): Promise<string>
  /** `kubectl apply` of YAML or JSON as the administrator, in the namespace unless the manifest names one. */
  apply(manifest: string): Promise<string>
  /** Path of a new kubeconfig for that user, with no rights but what RBAC gives to the name and the groups. */
  user(name: string, groups?: readonly string[]): Promise<string>
}

/**
 * The control plane that the whole run shares, and a new namespace in it. To be called at the top of a test file or of
 * a `describe`. Cluster-scoped objects are shared with the other files: give them names made from the namespace's, or
 * start a control plane of your own by `startControlPlane` (4 s).
 */
export function useControlPlane(): UsedControlPlane {
  const shared = sharedControlPlane()
  const namespace = `test-${randomBytes(5).toString('hex')}`
  beforeAll(async () => {
    await kubectl(shared, 'create', 'namespace', namespace)
  })
  afterAll(async () => {
    // Its removal takes the namespace controller five seconds, for which nobody needs to wait.
    await kubectl(shared, 'delete', 'namespace', namespace, '--wait=false')
  })
  return {
    ...shared,
    namespace,
    kubectlRun: (...args) => kubectl(shared, ...args),
    apply: (manifest) => kubectlWithInput(shared, manifest, `--namespace=${namespace}`, 'apply', '--filename=-'),
    user: async (name, groups = []) => (await createUser(shared.directory, shared.url, name, groups)).kubeconfig,
  }
}
