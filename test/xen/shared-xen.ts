/** How the Xen host of a whole Jest run is handed from its global set-up to the test files. */
import { reachXen, type Xen, type XenAccess } from '../../hack/xen/index.ts'

/** An environment variable, because it reaches Jest's workers as well as a run in one process. */
const variable = 'BERTH_TEST_XEN'

export function publishXen({ name, tlsUri, pki, ssh, networkName, poolName, poolPath }: XenAccess): void {
  const access: XenAccess = { name, tlsUri, pki, ssh, networkName, poolName, poolPath }
  process.env[variable] = JSON.stringify(access)
}

export function sharedXen(): Xen {
  const text = process.env[variable]
  if (text === undefined) throw new Error('no Xen host: this test belongs to the Jest project xen')
  return reachXen(JSON.parse(text) as XenAccess)
}
