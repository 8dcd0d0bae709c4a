// Asks a host by SSH: node ssh.ts qemu+ssh://root@host/system ~/.ssh/known_hosts ~/.ssh/id_ed25519
import { readFileSync } from 'node:fs'
import { Connection, LibvirtConnectionError } from 'node-libvirt'

const [uri = '', knownHosts = '', privateKey = ''] = process.argv.slice(2)
try {
  await using connection = await Connection.open(uri, {
    callTimeout: 10_000,
    ssh: { knownHosts: readFileSync(knownHosts, 'utf8'), privateKey: readFileSync(privateKey) },
  })
  process.stdout.write(`${await connection.getHostname()}\n`)
} catch (error) {
  if (!(error instanceof LibvirtConnectionError)) throw error
  process.stdout.write(`${error.reason}\n`)
  process.exitCode = 1
}
