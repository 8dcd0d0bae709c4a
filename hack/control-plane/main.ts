/** `node hack/control-plane/main.ts up [--directory DIR]`: a control plane in the foreground, until Ctrl-C. */
import { parseArgs } from 'node:util'
import { startControlPlane } from './index.ts'

const usage = 'usage: node hack/control-plane/main.ts up [--directory DIR]'

async function main(): Promise<number> {
  let directory: string | undefined
  try {
    const { values, positionals } = parseArgs({ options: { directory: { type: 'string' } }, allowPositionals: true })
    if (positionals.length !== 1 || positionals[0] !== 'up') throw new Error('the only command is up')
    directory = values.directory
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${usage}`)
    return 2
  }
  const told = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
  const controlPlane = await startControlPlane(directory === undefined ? {} : { directory })
  console.log(`The control plane is ready at ${controlPlane.url}; Ctrl-C stops it. In another terminal:`)
  console.log(`  export KUBECONFIG=${controlPlane.kubeconfig}`)
  console.log(`  ${controlPlane.kubectl} get namespaces`)
  // Its processes keep this one running; without them there is nothing to wait for.
  process.once('beforeExit', () => {
    console.error('The control plane was ended by somebody else.')
    process.exit(1)
  })
  await told
  process.removeAllListeners('beforeExit')
  await controlPlane.stop()
  return 0
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  },
)
