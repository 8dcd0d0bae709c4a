// Every domain with its state and what it uses: node list.ts qemu:///system
import { Connection, DomainState, DomainStatsTypes } from 'node-libvirt'

const [uri = 'test:///default'] = process.argv.slice(2)
await using connection = await Connection.open(uri)

const states = new Map<unknown, string>(Object.entries(DomainState).map(([name, state]) => [state, name]))
for (const { domain, stats } of await connection.getAllDomainStats(DomainStatsTypes.STATE | DomainStatsTypes.BALLOON)) {
  const memory = stats['balloon.current'] ?? 'unknown'
  process.stdout.write(`${domain.name} ${states.get(stats['state.state'])} ${memory} KiB\n`)
}
