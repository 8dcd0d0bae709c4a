import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { identifyProcess, type ProcessIdentity } from './process.ts'

/** The namespaces of one local hypervisor, held by a process 1 that lives no longer than this process. */
export interface Namespaces {
  readonly init: ProcessIdentity
  /** Ends every process in the namespaces and waits until the supervisor has removed all that was made. */
  release(): Promise<void>
}

/** Names of what the supervisor removes at the end; see supervise.sh. */
export interface NamespaceNames {
  readonly id: string
  readonly directory: string
  readonly record: string
  readonly hostname: string
}

export async function createNamespaces(names: NamespaceNames): Promise<Namespaces> {
  const script = fileURLToPath(new URL('supervise.sh', import.meta.url))
  const supervisor = spawn(script, [names.id, names.directory, names.record, names.hostname], {
    // In a session of its own, so that Ctrl-C reaches the owner alone, which then stops in order.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const { stdin, stdout, stderr } = supervisor
  // Writing is never tried; the pipe may break when the supervisor is killed.
  stdin.on('error', () => undefined)
  let complaints = ''
  stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4000)
  })
  const exited = new Promise<void>((resolve) => {
    supervisor.once('exit', () => resolve())
    supervisor.once('error', (error) => {
      complaints += error.message
      resolve()
    })
  })

  stdout.setEncoding('utf8')
  const [line] = await Promise.race([once(stdout, 'data') as Promise<[string]>, exited.then(() => [''] as [string])])
  const init = identifyProcess(Number.parseInt(line, 10))
  if (init === undefined) {
    stdin.end()
    await exited
    throw new Error(`cannot make the namespaces of hypervisor ${names.id}: ${complaints.trim()}`)
  }

  // An owner that forgets to stop may still end: the end of its pipe releases everything.
  supervisor.unref()
  for (const stream of [stdin, stdout, stderr]) (stream as unknown as { unref(): void }).unref()
  return {
    init,
    async release() {
      supervisor.ref()
      stdin.end()
      await exited
    },
  }
}
