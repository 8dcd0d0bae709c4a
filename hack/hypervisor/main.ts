import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { startHypervisor } from './index.ts'

const usage = 'usage: node hack/hypervisor/main.ts up [--name NAME] [--directory DIRECTORY] [--subnet CIDR]'

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { name: { type: 'string', default: 'local' }, directory: { type: 'string' }, subnet: { type: 'string' } },
})
if (positionals.length !== 1 || positionals[0] !== 'up') {
  console.error(usage)
  process.exit(2)
}

const hypervisor = await startHypervisor({
  name: values.name,
  ...(values.directory === undefined ? {} : { directory: values.directory }),
  ...(values.subnet === undefined ? {} : { subnet: values.subnet }),
})
console.log(`Hypervisor ${hypervisor.name} runs until Ctrl-C.

  unix   ${hypervisor.uri}
  TLS    ${hypervisor.tlsUri}?pkipath=${hypervisor.pki.directory}
  guests ${hypervisor.subnet} on network '${hypervisor.networkName}'; this machine is ${hypervisor.hostAddress} to them
  pool   ${hypervisor.poolName} at ${hypervisor.poolPath}`)

// The signal wait alone does not keep Node running.
const keepAlive = setInterval(() => undefined, 2 ** 30)
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
clearInterval(keepAlive)
await hypervisor.stop()
