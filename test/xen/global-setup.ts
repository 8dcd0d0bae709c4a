import { type StartedXen, startXen } from '../../hack/xen/index.ts'
import { publishXen } from './shared-xen.ts'

/** Where the host waits for the global teardown, which is a module of its own. */
export const running = globalThis as typeof globalThis & { berthXen?: StartedXen }

/** Starts the Xen host that all files of the Jest project `xen` share. */
export default async function start(): Promise<void> {
  const xen = await startXen({ name: 'xen1', progress: (step) => process.stderr.write(`Xen: ${step}\n`) })
  running.berthXen = xen
  publishXen(xen)
}
