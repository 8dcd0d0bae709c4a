import { readFileSync } from 'node:fs'
import { type Hypervisor, type HypervisorOptions, startHypervisor } from '../../../../hack/hypervisor/index.ts'
import { Connection, type ConnectionOptions, type TlsOptions } from '../../../../node-libvirt/index.ts'

/** A hypervisor and the connections that were opened to it: all end with the scope. */
export class Lab implements AsyncDisposable {
  readonly hypervisor: Hypervisor
  readonly #connections: Connection[] = []

  private constructor(hypervisor: Hypervisor) {
    this.hypervisor = hypervisor
  }

  static async start(name: string, options: Omit<HypervisorOptions, 'name'> = {}): Promise<Lab> {
    return new Lab(await startHypervisor({ name, ...options }))
  }

  get testDriverURI(): string {
    return `test+unix:///default?socket=${this.hypervisor.socketPath}`
  }

  get tls(): TlsOptions {
    const { ca, clientCertificate, clientKey } = this.hypervisor.pki
    return { ca: readFileSync(ca), cert: readFileSync(clientCertificate), key: readFileSync(clientKey) }
  }

  async open(uri = this.hypervisor.uri, options?: ConnectionOptions): Promise<Connection> {
    const connection = await Connection.open(uri, options)
    this.#connections.push(connection)
    return connection
  }

  openTLS(options?: ConnectionOptions): Promise<Connection> {
    return this.open(this.hypervisor.tlsUri, { tls: this.tls, ...options })
  }

  /** What virsh says, without the line ends around it. */
  async virsh(uri: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.hypervisor.run('virsh', ['-q', '-c', uri, ...args])
    if (code !== 0) throw new Error(`virsh ${args.join(' ')}: ${stderr}`)
    return stdout.trim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()))
    await this.hypervisor.stop()
  }
}

/** The first column of virsh's lists, or another, in order of the alphabet. */
export const column = (list: string, at = 0): readonly string[] =>
  list
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s{2,}/)[at] ?? '')
    .sort()

/** `Key: value` lines. */
export const fields = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split('\n').map((line) => {
      const at = line.indexOf(':')
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()]
    }),
  )

/** Waits until a condition holds; the test's own time limit ends the wait. */
export const eventually = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}
