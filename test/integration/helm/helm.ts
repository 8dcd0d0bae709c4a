import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { type ProcessResult, run } from '../../../hack/hypervisor/process.ts'
import { root } from '../../../hack/setup/directories.mjs'

export const chart = join(root, 'helm/berth')

/** Which Helm, and whose cluster. */
export interface HelmTarget {
  readonly helm: string
  readonly kubeconfig: string
}

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly annotations?: object }
  readonly spec?: unknown
}

/** Helm as a person uses it, with caches of its own. */
export class Helm {
  readonly #target: HelmTarget
  readonly #home = mkdtempSync(join(tmpdir(), 'berth-helm-'))

  constructor(target: HelmTarget) {
    this.#target = target
  }

  try(...args: readonly string[]): Promise<ProcessResult> {
    const { helm, kubeconfig } = this.#target
    const home = this.#home
    const own = { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home }
    return run(helm, args, { env: { ...own, KUBECONFIG: kubeconfig } })
  }

  /** Its output, where the command must succeed. */
  async run(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(...args)
    if (code !== 0) throw new Error(`helm ${args.join(' ')} (${code}): ${stderr}`)
    return stdout
  }

  /** Its complaint, where the command must fail. */
  async fail(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.try(...args)
    if (code === 0) throw new Error(`helm ${args.join(' ')} should have failed, but said: ${stdout}`)
    return stderr
  }

  async render(...args: readonly string[]): Promise<readonly Manifest[]> {
    const output = await this.run('template', 'berth', chart, '--namespace=berth-system', ...args)
    const documents = parseAllDocuments(output, { version: '1.1' })
    return documents.flatMap((document) => {
      const value = document.toJS() as Manifest | null
      return value === null ? [] : [value]
    })
  }

  close(): void {
    rmSync(this.#home, { recursive: true, force: true })
  }
}
