import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, test } from '@jest/globals'
import { type ControlPlane, startControlPlane } from '../../hack/control-plane/index.ts'
import { root } from '../../hack/setup/directories.mjs'
import { kubectl } from '../support/kubectl.ts'
import { useControlPlane } from '../support/use-control-plane.ts'

function isAlive(pid: number): boolean {
  try {
    // A zombie has ended; only its parent has not looked yet.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(20)
}

describe('the shared control plane', () => {
  const shared = useControlPlane()
  const manifest = (value: string) =>
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'note' }, data: { value } })

  test('creates, reads, updates and deletes an object', async () => {
    const value = () =>
      shared.kubectlRun('-n', shared.namespace, 'get', 'configmap', 'note', '-o', 'jsonpath={.data.value}')
    await shared.apply(manifest('one'))
    expect(await value()).toBe('one')
    await shared.apply(manifest('two'))
    expect(await value()).toBe('two')
    await shared.kubectlRun('-n', shared.namespace, 'delete', 'configmap', 'note')
    await expect(value()).rejects.toThrow('NotFound')
  })

  test('gives a user the rights of their group and no others', async () => {
    const alice = { kubectl: shared.kubectl, kubeconfig: await shared.user('alice', ['devs']) }
    const list = () => kubectl(alice, '-n', shared.namespace, 'get', 'configmaps', '-o', 'name')
    await expect(list()).rejects.toThrow('forbidden')
    await shared.kubectlRun('-n', shared.namespace, 'create', 'rolebinding', 'd', '--clusterrole=view', '--group=devs')
    expect(await list()).toContain('configmap/kube-root-ca.crt')
    await expect(kubectl(alice, 'get', 'nodes')).rejects.toThrow('forbidden')
  })
})

describe('a control plane of its own', () => {
  const started: ControlPlane[] = []
  const directories: string[] = []
  const start = async (options: Parameters<typeof startControlPlane>[0] = {}) => {
    const controlPlane = await startControlPlane(options)
    started.push(controlPlane)
    return controlPlane
  }
  afterEach(async () => {
    await Promise.all(started.splice(0).map((controlPlane) => controlPlane.stop()))
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true })
  })
  const newDirectory = () => {
    const directory = mkdtempSync(join(tmpdir(), 'berth-test-'))
    directories.push(directory)
    return directory
  }

  test('two run side by side and know nothing of each other', async () => {
    const [one, two] = await Promise.all([start(), start()])
    await kubectl(one, 'create', 'namespace', 'only-in-one')
    expect(await kubectl(one, 'get', 'namespaces', '-o', 'name')).toContain('only-in-one')
    expect(await kubectl(two, 'get', 'namespaces', '-o', 'name')).not.toContain('only-in-one')
  })

  test('stop leaves no process and no directory', async () => {
    const controlPlane = await start()
    const pids = Object.values(controlPlane.pids)
    expect(pids).toHaveLength(3)
    expect(pids.every(isAlive)).toBe(true)
    await controlPlane.stop()
    await controlPlane.stop()
    expect(pids.filter(isAlive)).toEqual([])
    expect(existsSync(controlPlane.directory)).toBe(false)
  })

  test('a restarted API server has its data and its address', async () => {
    const controlPlane = await start({ controllerManager: false })
    await kubectl(controlPlane, 'create', 'namespace', 'survivor')
    const before = controlPlane.pids['kube-apiserver']
    await controlPlane.restartApiServer()
    expect(controlPlane.pids['kube-apiserver']).not.toBe(before)
    expect(await kubectl(controlPlane, 'get', 'namespaces', '-o', 'name')).toContain('survivor')
  })

  test('a directory given to it is kept, and its data found again', async () => {
    const directory = newDirectory()
    const first = await start({ directory, controllerManager: false })
    await kubectl(first, 'create', 'namespace', 'kept')
    await first.stop()
    const second = await start({ directory, controllerManager: false })
    expect(await kubectl(second, 'get', 'namespaces', '-o', 'name')).toContain('kept')
  })

  test('further arguments reach the API server', async () => {
    const controlPlane = await start({ controllerManager: false, apiServerArguments: ['--anonymous-auth=false'] })
    const stranger = {
      kubectl: controlPlane.kubectl,
      kubeconfig: '/dev/null',
    }
    const address = [`--server=${controlPlane.url}`, '--insecure-skip-tls-verify', '--username=nobody', '--password=x']
    await expect(kubectl(stranger, ...address, 'get', '--raw', '/readyz')).rejects.toThrow('Unauthorized')
    expect(await kubectl(controlPlane, 'get', '--raw', '/readyz')).toBe('ok')
  })

  test('a wrong argument is answered with what the API server said', async () => {
    const starting = startControlPlane({ controllerManager: false, apiServerArguments: ['--no-such-flag'] })
    await expect(starting).rejects.toThrow(/kube-apiserver ended by itself[\s\S]*unknown flag: --no-such-flag/)
  })

  /** The command line's control plane in a directory, when it says that it is ready. */
  async function startCommand(directory: string): Promise<{ command: ChildProcess; pids: number[] }> {
    const script = join(root, 'hack/control-plane/main.ts')
    const command = spawn(process.execPath, [script, 'up', '--directory', directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
      // Jest's own options are not the command's.
      env: { ...process.env, NODE_OPTIONS: '' },
    })
    let said = ''
    command.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    await until(() => said.includes(`KUBECONFIG=${directory}`) || command.exitCode !== null)
    const children = readFileSync(`/proc/${command.pid}/task/${command.pid}/children`, 'utf8').trim().split(' ')
    return { command, pids: children.map(Number) }
  }

  test('the command ends on SIGTERM with exit code 0 and no process left', async () => {
    const { command, pids } = await startCommand(newDirectory())
    expect(pids).toHaveLength(3)
    command.kill('SIGTERM')
    expect(await once(command, 'close')).toEqual([0, null])
    expect(pids.filter(isAlive)).toEqual([])
  })

  test('its processes end even when the command is killed', async () => {
    const { command, pids } = await startCommand(newDirectory())
    expect(pids).toHaveLength(3)
    command.kill('SIGKILL')
    await until(() => !pids.some(isAlive))
    expect(pids.filter(isAlive)).toEqual([])
  })
})
