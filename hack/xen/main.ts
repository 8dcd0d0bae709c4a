/** `node hack/xen/main.ts up` runs a Xen host until Ctrl-C. */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { startXen } from './index.ts'

const usage = 'usage: node hack/xen/main.ts up [--name NAME]'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { name: { type: 'string', default: 'xen' } },
})
if (positionals.length !== 1 || positionals[0] !== 'up') {
  console.error(usage)
  process.exit(2)
}

const xen = await startXen({ name: values.name, progress: (step) => console.error(step) })
console.log(`Xen host ${xen.name} runs until Ctrl-C.

  TLS    ${xen.tlsUri}?pkipath=${xen.pki.directory}
  shell  ssh -i ${xen.ssh.key} -o UserKnownHostsFile=${xen.ssh.knownHosts} -p ${xen.ssh.port} root@127.0.0.1
  pool   ${xen.poolName} at ${xen.poolPath}; network '${xen.networkName}'`)

// The signal wait alone does not keep Node running.
const keepAlive = setInterval(() => undefined, 2 ** 30)
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
clearInterval(keepAlive)
await xen.stop()
