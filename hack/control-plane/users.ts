import { randomBytes } from 'node:crypto'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientCertificate, issueClientCertificate } from './certificates.ts'
import { kubeconfigText } from './kubeconfig.ts'

/**
 * Makes a user of the control plane in `directory`, and answers the path of their kubeconfig there, readable by this
 * account only. Works from any process, not only from the one that started the control plane.
 */
export async function createUser(
  directory: string,
  url: string,
  name: string,
  groups: readonly string[],
): Promise<{ kubeconfig: string; client: ClientCertificate }> {
  const client = await issueClientCertificate(join(directory, 'pki'), name, groups)
  const kubeconfig = join(directory, `${encodeURIComponent(name)}.kubeconfig`)
  const temporary = `${kubeconfig}.${randomBytes(4).toString('hex')}`
  writeFileSync(temporary, kubeconfigText(url, name, client), { mode: 0o600 })
  renameSync(temporary, kubeconfig)
  return { kubeconfig, client }
}
