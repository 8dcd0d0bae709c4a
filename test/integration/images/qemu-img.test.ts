import { execFile } from 'node:child_process'
import { chmod, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createImageService, type ImageService, type ImageState, qemuImgInspector } from '../../../images/index.ts'
import { inspect } from '../../../images/inspect/inspect.ts'
import { qcow2, rawDisk, sha256 } from '../../../images/testing/content.ts'
import { FileServer } from '../../../images/testing/file-server.ts'
import { stateWhere } from '../../../images/testing/until.ts'

jest.setTimeout(60_000)

const run = promisify(execFile)
const signal = new AbortController().signal
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-qemu-img-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const place = (name: string) => join(directory, name)
const create = (...args: string[]) => run('qemu-img', ['create', '-q', ...args], { cwd: directory })
const inspected = (name: string, inspector = qemuImgInspector()) =>
  inspect(place(name), { format: undefined, maximumVirtualSize: 2 ** 44, inspector, signal })

describe('what qemu-img makes is accepted', () => {
  test.each([
    ['as it is', []],
    ['version 2', ['-o', 'compat=0.10']],
    ['small clusters', ['-o', 'cluster_size=512']],
    ['large clusters', ['-o', 'cluster_size=2M']],
    ['extended L2 entries', ['-o', 'extended_l2=on,cluster_size=128k']],
    ['zstd', ['-o', 'compression_type=zstd']],
    ['lazy refcounts', ['-o', 'lazy_refcounts=on']],
    ['preallocated metadata', ['-o', 'preallocation=metadata']],
    ['refcounts of 1 bit', ['-o', 'refcount_bits=1']],
  ])('qcow2, %s', async (_what, options) => {
    await create('-f', 'qcow2', ...options, 'a.qcow2', '40M')
    expect(await inspected('a.qcow2')).toEqual({ format: 'qcow2', virtualSize: 40 * 1024 ** 2 })
  })

  test('qcow2 with a size that fills no sector, with data, compressed, with an internal snapshot', async () => {
    const raw = await open(place('raw'), 'w')
    await raw.write(Buffer.alloc(1024 * 1024, 7), 0, 1024 * 1024, 3_000_000)
    await raw.close()
    await run('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', 'raw', 'a.qcow2'], { cwd: directory })
    await run('qemu-img', ['snapshot', '-c', 'one', 'a.qcow2'], { cwd: directory })
    const { virtualSize } = await inspected('a.qcow2')
    expect(virtualSize).toBe(Math.ceil((3_000_000 + 1024 * 1024) / 512) * 512)
  })

  test('the header that the unit tests build is what QEMU reads', async () => {
    await writeFile(place('a.qcow2'), qcow2({ virtualSize: 3n << 30n }))
    expect(await inspected('a.qcow2')).toEqual({ format: 'qcow2', virtualSize: 3 * 1024 ** 3 })
    await run('qemu-img', ['check', '-q', '-f', 'qcow2', 'a.qcow2'], { cwd: directory })
  })
})

describe('hostile files made by qemu-img are UnsafeFormat before qemu-img sees them', () => {
  const never = async () => {
    throw new Error('the inspector was called')
  }

  test('a backing file, with or without its format', async () => {
    await create('-f', 'raw', 'base', '1M')
    await create('-f', 'qcow2', '-b', 'base', '-F', 'raw', 'a.qcow2')
    await expect(inspected('a.qcow2', never)).rejects.toMatchObject({
      failure: 'UnsafeFormat',
      message: expect.stringContaining('backing file'),
    })
    await create('-u', '-f', 'qcow2', '-b', '/etc/shadow', '-F', 'raw', 'b.qcow2', '1M')
    await expect(inspected('b.qcow2', never)).rejects.toThrow('backing file')
    await create('-u', '-f', 'qcow2', '-b', 'json:{"driver":"nbd","host":"127.0.0.1"}', '-F', 'raw', 'c.qcow2', '1M')
    await expect(inspected('c.qcow2', never)).rejects.toThrow('backing file')
  })

  test('an external data file', async () => {
    await create('-f', 'qcow2', '-o', 'data_file=data,data_file_raw=on', 'a.qcow2', '1M')
    await expect(inspected('a.qcow2', never)).rejects.toMatchObject({
      failure: 'UnsafeFormat',
      message: expect.stringContaining('data file'),
    })
  })

  test('encryption', async () => {
    const secret = ['--object', 'secret,id=s,data=geheim']
    await run(
      'qemu-img',
      [
        'create',
        '-q',
        ...secret,
        '-f',
        'qcow2',
        '-o',
        'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10',
        'a.qcow2',
        '1M',
      ],
      { cwd: directory },
    )
    await expect(inspected('a.qcow2', never)).rejects.toMatchObject({
      failure: 'UnsafeFormat',
      message: expect.stringContaining('encrypted'),
    })
  })

  test.each(['vmdk', 'vdi', 'vhdx', 'vpc', 'qed', 'qcow', 'parallels'])(
    '%s is named, and not opened',
    async (format) => {
      await create('-f', format, 'a', '8M')
      await expect(inspected('a', never)).rejects.toMatchObject({
        failure: 'InvalidConfiguration',
        message: expect.stringMatching(/the file is .*: accepted are qcow2 and raw disks/),
      })
    },
  )

  test('a fixed VHD, which only its end tells from a raw disk', async () => {
    await create('-f', 'vpc', '-o', 'subformat=fixed', 'a', '8M')
    await expect(inspected('a', never)).rejects.toThrow('a VHD disk of fixed size')
  })
})

describe('the child process is limited', () => {
  /** A program in place of qemu-img. */
  async function script(text: string): Promise<string> {
    const path = place('fake-qemu-img')
    await writeFile(path, `#!/bin/sh\n${text}\n`)
    await chmod(path, 0o755)
    return path
  }

  async function outcome(text: string, options = {}) {
    const inspector = qemuImgInspector({ qemuImg: await script(text), ...options })
    return inspector(place('x'), signal).then(
      (size) => size,
      (error: { failure?: string; message: string }) => ({ failure: error.failure, message: error.message }),
    )
  }

  test('in wall time, with everything that it started', async () => {
    // The service waits for the end of whoever holds the pipes, so it could not go on while one lived.
    const result = await outcome('sleep 1000; true', { wallTime: 300 })
    expect(result).toMatchObject({ failure: 'TemporaryFailure', message: expect.stringContaining('did not end') })
  })

  test('in what it leaves behind', async () => {
    const result = await outcome(`sleep 1000 & echo '{"format":"qcow2","virtual-size":7}'`)
    expect(result).toBe(7)
  })

  test('in CPU time', async () => {
    expect(await outcome('while :; do :; done', { cpuSeconds: 1 })).toMatchObject({ failure: 'UnsafeFormat' })
  })

  test('in memory', async () => {
    const hungry = 'a=x; while :; do a=$a$a; done'
    expect(await outcome(hungry, { memory: 64 * 1024 ** 2 })).toMatchObject({ failure: 'UnsafeFormat' })
  })

  test('in what it says', async () => {
    expect(await outcome('yes')).toEqual({ failure: 'UnsafeFormat', message: 'qemu-img says too much about the file' })
  })

  test('in what it writes: no file at all', async () => {
    expect(await outcome(`echo data > ${place('written')} || exit 9`)).toMatchObject({ failure: 'UnsafeFormat' })
    expect(await readFile(place('written'), 'utf8').catch(() => '')).toBe('')
  })

  test('in what it knows: no environment of ours, and the format is always given', async () => {
    process.env['BERTH_TEST_SECRET'] = 'geheim'
    const result = await outcome('env >&2; echo "$@" >&2; exit 1')
    delete process.env['BERTH_TEST_SECRET']
    expect(result).toMatchObject({ message: expect.stringContaining('info --output=json -f qcow2 the file') })
    expect(JSON.stringify(result)).not.toContain('geheim')
  })

  test.each([
    ['{"format":"qcow2","virtual-size":1,"backing-filename":"x"}', 'qemu-img sees backing-filename'],
    ['{"format":"qcow2","virtual-size":1,"encrypted":true}', 'qemu-img sees encrypted'],
    ['{"format":"qcow2","virtual-size":1,"format-specific":{"data":{"data-file":"x"}}}', 'an external data file'],
    ['{"format":"raw","virtual-size":1}', 'another format'],
    ['{"format":"qcow2"}', 'no virtual size'],
    ['[', 'not JSON'],
  ])('what it answers is not trusted either: %s', async (answer, message) => {
    expect(await outcome(`echo '${answer}'`)).toMatchObject({ message: expect.stringContaining(message) })
  })

  test('aborting kills it', async () => {
    const abort = new AbortController()
    const inspector = qemuImgInspector({ qemuImg: await script('exec sleep 1000') })
    const running = inspector(place('x'), abort.signal)
    abort.abort(new Error('closing'))
    await expect(running).rejects.toThrow('closing')
  })

  test('a program that is missing is said to be missing, and is no fault of the image', async () => {
    await expect(qemuImgInspector({ qemuImg: 'qemu-img-not-there' })(place('x'), signal)).rejects.toMatchObject({
      failure: 'TemporaryFailure',
      message: 'qemu-img-not-there is missing where the image service runs: install qemu-utils (qemu-img)',
    })
  })
})

describe('the whole service with the real qemu-img', () => {
  let server: FileServer
  let service: ImageService

  async function fetched(file: string, inspector = qemuImgInspector()): Promise<ImageState> {
    server = new FileServer(await readFile(place(file)))
    await server.listen()
    service = await createImageService({ directory: place('store'), inspector, limits: { reservedSpace: 0 } })
    const checksum = `sha256:${sha256(server.content)}`
    await service.ensure({ id: 'a', source: { url: server.url(), checksum } })
    return stateWhere(service, 'a', isTold)
  }
  const isTold = (state: ImageState) => state.state !== 'Verifying' && !(state.state === 'Fetching' && !state.retrying)

  afterEach(async () => {
    await service.close()
    await server.close()
  })

  test('an image comes in', async () => {
    await create('-f', 'qcow2', 'a.qcow2', '64M')
    expect(await fetched('a.qcow2')).toMatchObject({
      state: 'Ready',
      image: { format: 'qcow2', virtualSize: 64 * 1024 ** 2, checksum: 'Matches' },
    })
  })

  test('its raw form has the bytes that qemu-img itself reads, as often as asked, and goes with its last user', async () => {
    await writeFile(place('raw'), rawDisk(3 * 1024 ** 2))
    await run('qemu-img', ['resize', '-q', '-f', 'raw', 'raw', '64M'], { cwd: directory })
    await run('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', 'raw', 'a.qcow2'], { cwd: directory })
    await fetched('a.qcow2')
    const digest = sha256(server.content)
    const forms = await Promise.all([service.openRaw(digest, signal), service.openRaw(digest, signal)])
    const expected = await readFile(place('raw'))
    for (const form of forms) {
      expect(form).toMatchObject({ length: expected.length, digest: sha256(expected) })
      const pieces = []
      for await (const piece of form.open()) pieces.push(piece)
      expect(Buffer.concat(pieces).equals(expected)).toBe(true)
    }
    const blobs = () => readdir(place('store/sha256'))
    expect(await blobs()).toEqual([digest, `${digest}.raw`])
    // Holes are kept: zeros take no room in the store.
    expect((await stat(place(`store/sha256/${digest}.raw`))).blocks * 512).toBeLessThan(8 * 1024 ** 2)
    await forms[0].close()
    await forms[0].close()
    expect(await blobs()).toHaveLength(2)
    await forms[1].close()
    expect(await blobs()).toEqual([digest])
  })

  test('a hostile one does not, although its checksum matches', async () => {
    await create('-u', '-f', 'qcow2', '-b', '/etc/shadow', '-F', 'raw', 'a.qcow2', '1M')
    expect(await fetched('a.qcow2')).toMatchObject({ state: 'Failed', failure: 'UnsafeFormat' })
  })

  test('without qemu-img it waits, says so, and does not fetch again', async () => {
    await create('-f', 'qcow2', 'a.qcow2', '64M')
    const state = await fetched('a.qcow2', qemuImgInspector({ qemuImg: 'qemu-img-not-there' }))
    expect(state).toMatchObject({ state: 'Fetching', retrying: expect.stringContaining('install qemu-utils') })
    expect(server.requests).toHaveLength(1)
  })
})
