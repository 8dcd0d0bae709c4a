import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { root } from '../../hack/setup/directories.mjs'
import { withLock } from '../../hack/setup/lock.mjs'
import { runGroup, runSaying } from '../../hack/setup/processes.mjs'

let directory = ''
const scripts: ChildProcess[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'berth-test-'))
})
afterEach(() => {
  for (const script of scripts.splice(0)) script.kill('SIGKILL')
  rmSync(directory, { recursive: true })
})

/** Runs module code in a Node of its own, with hack/setup as `setup`. */
function startScript(code: string): ChildProcess {
  const path = (name: string) => JSON.stringify(join(root, 'hack/setup', name))
  const imports = `
    import { withLock } from ${path('lock.mjs')}
    import { endOnSignals, runGroup } from ${path('processes.mjs')}\n`
  const script = spawn(process.execPath, ['--input-type=module', '--eval', imports + code], {
    cwd: directory,
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  scripts.push(script)
  return script
}

const said = async (script: ChildProcess) => String((await once(script.stdout ?? script, 'data'))[0])

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(20)
}

describe('a lock', () => {
  test('lets one at a time in, within one process too', async () => {
    const file = join(directory, 'new/lock')
    let inside = 0
    let most = 0
    const enter = () =>
      withLock(file, async () => {
        most = Math.max(most, ++inside)
        await delay(50)
        inside--
      })
    await Promise.all([enter(), enter(), enter()])
    expect(most).toBe(1)
  })

  test('tells the second that it waits, and is free when its holder was killed', async () => {
    const file = join(directory, 'lock')
    const holder = startScript(`
      setInterval(() => {}, 1e9)
      await withLock('lock', async () => { console.log('held'); await new Promise(() => {}) })`)
    expect(await said(holder)).toContain('held')
    let waits = 0
    const entered = withLock(
      file,
      async () => 'entered',
      () => {
        waits++
        holder.kill('SIGKILL')
      },
    )
    expect(await entered).toBe('entered')
    expect(waits).toBe(1)
  })

  test('is free again after an action that failed, whose error is passed on', async () => {
    const file = join(directory, 'lock')
    await expect(withLock(file, () => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk')
    expect(await withLock(file, async () => 1)).toBe(1)
  })
})

describe('a program in a group of its own', () => {
  test('its exit code is passed on, or 128 plus the signal that ended it', async () => {
    expect(await runGroup('sh', ['-c', 'exit 7'])).toBe(7)
    expect(await runGroup('sh', ['-c', 'kill -KILL $$'])).toBe(137)
    await expect(runGroup('no-such-program', [])).rejects.toThrow('ENOENT')
  })

  test('an error quotes what it said last', async () => {
    const lines: string[] = []
    const running = runSaying('sh', ['-c', 'echo first; echo no space left >&2; exit 3'], (line) => lines.push(line))
    await expect(running).rejects.toThrow(/exit code 3:[\s\S]*no space left/)
    expect(lines.sort()).toEqual(['first', 'no space left'])
  })

  test('what it left behind ends with it, and a time limit ends both', async () => {
    const pidFile = join(directory, 'pid')
    const leaver = `sleep 1000 >/dev/null 2>&1 & echo $! > "$0"`
    await runGroup('sh', ['-c', leaver, pidFile])
    const left = Number(readFileSync(pidFile, 'utf8'))
    await until(() => !isAlive(left))

    const code = await runGroup('sh', ['-c', `${leaver}; wait`, pidFile], { timeoutMilliseconds: 300 })
    expect(code).toBe(143)
    const limited = Number(readFileSync(pidFile, 'utf8'))
    await until(() => !isAlive(limited))
    expect(isAlive(limited)).toBe(false)
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends it and its starter, with exit code %d', async (signal, exitCode) => {
    const starter = startScript(`
      endOnSignals()
      await runGroup('sh', ['-c', 'sleep 1000 & echo $! > pid.new; mv pid.new pid; wait'])`)
    await until(() => existsSync(join(directory, 'pid')))
    const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'))
    expect(isAlive(pid)).toBe(true)
    starter.kill(signal)
    // npm and the terminal make two signals of one Ctrl-C: the second changes nothing.
    starter.kill(signal)
    expect(await once(starter, 'close')).toEqual([exitCode, null])
    await until(() => !isAlive(pid))
  })
})
