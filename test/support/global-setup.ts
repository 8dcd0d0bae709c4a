import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ControlPlane, startControlPlane } from '../../hack/control-plane/index.ts'
import { root } from '../../hack/setup/directories.mjs'
import { kubectl } from './kubectl.ts'
import { publishSharedControlPlane } from './shared-control-plane.ts'

/** Where the control plane waits for the global teardown, which is a module of its own. */
export const running = globalThis as typeof globalThis & { berthControlPlane?: ControlPlane }

/** Starts the control plane that all files of the Jest project `real` share, with Berth's resource definitions and policies. */
export default async function start(): Promise<void> {
  const controlPlane = await startControlPlane()
  running.berthControlPlane = controlPlane
  try {
    const definitions = readdirSync(join(root, 'crds')).map((name) => join(root, 'crds', name))
    const files = definitions.flatMap((file) => ['--filename', file])
    await kubectl(controlPlane, 'apply', '--server-side', ...files)
    await kubectl(controlPlane, 'wait', '--for=condition=Established', '--timeout=60s', ...files)
    await kubectl(controlPlane, 'apply', '--server-side', '--filename', join(root, 'helm/berth/policies'))
  } catch (error) {
    await controlPlane.stop()
    throw error
  }
  publishSharedControlPlane(controlPlane)
}
