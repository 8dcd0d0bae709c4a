import { running } from './global-setup.ts'
import { withdrawSharedControlPlane } from './shared-control-plane.ts'

export default async function stop(): Promise<void> {
  withdrawSharedControlPlane()
  await running.berthControlPlane?.stop()
}
