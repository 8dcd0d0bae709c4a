// What happens to domains, until the connection ends or three events have come: node watch.ts qemu:///system
import { Connection, DomainEventType } from 'node-libvirt'

const [uri = 'test:///default'] = process.argv.slice(2)
await using connection = await Connection.open(uri)

const names = new Map<number, string>(Object.entries(DomainEventType).map(([name, type]) => [type, name]))
let left = 3
const enough = Promise.withResolvers<undefined>()
await connection.subscribe('domainLifecycle', ({ domain, event }) => {
  process.stdout.write(`${domain.name} ${names.get(event)}\n`)
  if (--left === 0) enough.resolve(undefined)
})
process.stdout.write('watching\n')

// Events are not repeated: whoever opens a new connection has to list everything anew.
const lost = await Promise.race([connection.closed, enough.promise])
if (lost !== undefined) throw lost
