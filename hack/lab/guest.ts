import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { type ProcessResult, run } from '../hypervisor/process.ts'

/** The echo service of the reference image (requirement O7). */
export const echoPort = 7

/** A new SSH key pair at `path` and `path`.pub; gives the public key's line. */
export async function createKey(path: string, comment: string): Promise<string> {
  const made = await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path])
  if (made.code !== 0) throw new Error(`ssh-keygen: ${made.stderr}`)
  return readFileSync(`${path}.pub`, 'utf8').trim()
}

/** Arguments of ssh for a guest that is met once: its host key is new each time, and remembered nowhere. */
export const sshArguments = (address: string, key: string, user = 'root'): string[] => [
  ...['-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=3'],
  ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'],
  `${user}@${address}`,
]

/** Runs a command in a guest. A refused login is a result (code 255), not an error. */
export const ssh = (address: string, key: string, command: string, user = 'root'): Promise<ProcessResult> =>
  run('ssh', [...sshArguments(address, key, user), command], { timeoutMs: 30_000 })

/** Sends lines to the echo service, then EXIT; gives what came back. Rejects after `timeout` ms of silence. */
export function echo(address: string, lines: readonly string[], timeout = 10_000): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: echoPort, timeout })
    let received = ''
    socket.setEncoding('utf8').on('data', (text) => {
      received += text
    })
    socket.once('timeout', () => socket.destroy(new Error('the echo service does not answer')))
    socket.once('error', reject)
    // The service ends the connection at EXIT: that is part of what is asked of it.
    socket.once('close', () => resolve(received.split('\n').filter((line) => line !== '')))
    socket.write([...lines, 'EXIT', ''].join('\n'))
  })
}
