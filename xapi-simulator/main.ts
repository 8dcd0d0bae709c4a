/**
 * Starts one pool and prints its addresses: `node xapi-simulator/main.ts --password secret --members 2`. It ends on
 * SIGINT or SIGTERM, and nothing of it stays.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startSimulator } from './index.ts'

const usage = `Usage: node xapi-simulator/main.ts --password PASSWORD [options]

  --name NAME                   the pool's name (pool)
  --members NUMBER              how many hosts, on 127.0.0.1 and up (1)
  --user USER                   (root)
  --agent-delay SECONDS         from a machine's start until its guest reports an address (5)
  --certificate FILE --key FILE --certificate-authority FILE
                                HTTPS; the certificate is for all addresses`

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'pool' },
    members: { type: 'string', default: '1' },
    user: { type: 'string', default: 'root' },
    password: { type: 'string' },
    'agent-delay': { type: 'string', default: '5' },
    certificate: { type: 'string' },
    key: { type: 'string' },
    'certificate-authority': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help || values.password === undefined) {
  console.error(usage)
  process.exit(values.help ? 0 : 2)
}

const { certificate, key, 'certificate-authority': authority } = values
const files = [certificate, key, authority].filter((file) => file !== undefined)
if (files.length !== 0 && files.length !== 3) throw new Error('The certificate, its key and its authority go together.')

const simulator = await startSimulator({
  pools: [{ name: values.name, members: Number(values.members), user: values.user, password: values.password }],
  ...(certificate && key && authority
    ? {
        tls: {
          certificateAuthority: readFileSync(authority, 'utf8'),
          certificateFor: () => ({ certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') }),
        },
      }
    : {}),
})
for (const { name, urls, control } of simulator.pools) {
  control.setGuest({ agentDelay: Number(values['agent-delay']) * 1000 })
  console.log(`${name}: ${urls.join(' ')}`)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void simulator.stop())
