/** Calls a second: a domain is found by its name and asked for its state, again and again. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run, runOrFail } from '../../../hack/hypervisor/process.ts'
import type { Connection } from '../../../node-libvirt/index.ts'
import type { BenchResult, Figure } from '../figures.ts'
import { type Host, startHost, type Way, ways } from './host.ts'

const domain = 'bench'
const rounds = 5
/** Each is two calls. */
const looks = 1_000
/** As many as node-libvirt has at the server at a time. */
const together = 4
/** Debian's python3-libvirt is for Debian's Python, whichever comes first in PATH. */
const python = '/usr/bin/python3'
const pythonClient = fileURLToPath(new URL('calls.py', import.meta.url))

export async function benchCalls(tell: (text: string) => void): Promise<BenchResult> {
  await using host = await startHost()
  const { hypervisor } = host
  const xml = `<domain type='qemu'><name>${domain}</name><memory unit='MiB'>32</memory><os><type>hvm</type></os></domain>`
  const figures: Figure[] = []
  for (const way of ways) {
    await using connection = await host.connect(way)
    if (way === 'unix') await connection.defineDomain(xml)
    const clients = await clientsOf(host, way, connection)
    const rates = new Map<string, number[]>(clients.map(({ name }) => [name, []]))
    for (let round = 0; round < rounds; round++) {
      for (const { name, look } of clients) rates.get(name)?.push(await look())
    }
    for (const [name, values] of rates) {
      tell(`${way} ${name}: ${values.map(Math.round).join(', ')} calls/s`)
      if (name === 'virsh') continue
      const reference = { what: 'virsh, one shell', values: rates.get('virsh') ?? [] }
      figures.push({ what: `${name}, ${way}`, unit: 'calls/s', values, reference })
    }
  }
  await hypervisor.virsh(['undefine', domain])
  return { bench: 'calls', title: 'Calls to one libvirt daemon', figures }
}

interface Client {
  readonly name: string
  /** Answers with calls a second. */
  look(): Promise<number>
}

async function clientsOf(host: Host, way: Way, connection: Connection): Promise<Client[]> {
  const look = async () => {
    const found = await connection.lookupDomainByName(domain)
    await found.getState()
  }
  const clients: Client[] = [
    {
      name: 'node-libvirt, one call at a time',
      look: () =>
        rate(async () => {
          for (let count = 0; count < looks; count++) await look()
        }),
    },
    {
      name: `node-libvirt, ${together} at a time`,
      look: () =>
        rate(async () => {
          const loop = async () => {
            for (let count = 0; count < looks / together; count++) await look()
          }
          await Promise.all(Array.from({ length: together }, loop))
        }),
    },
    {
      name: 'virsh',
      look: async () => {
        const virsh = (input: string) => runOrFail('virsh', ['-q', '-c', host.uri(way)], { input })
        // Its start and its connection are none of its calls.
        const idle = await time(() => virsh('quit\n'))
        const busy = await time(() => virsh(`${`domstate ${domain}\n`.repeat(looks)}quit\n`))
        return (2 * looks * 1000) / (busy - idle)
      },
    },
  ]
  if (!(await hasPythonLibvirt())) return clients
  const inPython = async () => {
    const output = await runOrFail(python, [pythonClient, host.uri(way), domain, String(looks)])
    return (2 * looks) / Number(output)
  }
  return [...clients, { name: 'python3-libvirt', look: inPython }]
}

const hasPythonLibvirt = async () => existsSync(python) && (await run(python, ['-c', 'import libvirt'])).code === 0

const rate = async (work: () => Promise<void>) => (2 * looks * 1000) / (await time(work))

async function time(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await work()
  return performance.now() - begun
}
