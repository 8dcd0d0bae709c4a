import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runOrFail } from '../hypervisor/process.ts'
import { cacheDirectory } from '../setup/directories.mjs'
import { arrangeContents } from './contents.ts'
import { buildTools, type DebianPackage, imageContents, unpack } from './debian.ts'
import { writeDisk } from './disk.ts'

const here = fileURLToPath(new URL('.', import.meta.url))

/** The reference image on this machine. */
export interface ReferenceImage {
  /** A qcow2 file. Not to be written to: it is shared by all who ask. */
  readonly path: string
  /** Of the file, in hexadecimal. */
  readonly sha256: string
  /** Bytes of the file. */
  readonly size: number
  /** Bytes of the disk that a guest sees. */
  readonly virtualSize: number
}

/**
 * The reference image: from the cache, or built anew when anything that it is made of has changed. The same inputs
 * give the same bytes. Needs Debian on amd64 with the packages of packages.mjs, but not root. `progress` hears one
 * line for each step of a build.
 */
export async function referenceImage(progress: (step: string) => void = () => undefined): Promise<ReferenceImage> {
  if (process.arch !== 'x64') {
    throw new Error(`the reference image exists for amd64 only; this machine is ${process.arch}`)
  }
  const images = join(cacheDirectory(), 'reference-image')
  mkdirSync(images, { recursive: true })
  const contents = await imageContents(images)
  const directory = join(images, digestOfInputs(contents, await buildTools()))
  return (
    cached(directory) ??
    withLock(join(images, 'lock'), async () => cached(directory) ?? build(directory, contents, progress))
  )
}

/** Sixteen hexadecimal digits over all that decides the image's bytes. */
function digestOfInputs(contents: readonly DebianPackage[], tools: string): string {
  const hash = createHash('sha256').update(JSON.stringify(contents)).update(tools)
  for (const entry of readdirSync(here, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()) {
    hash.update(`\0${entry.slice(here.length)}\0`).update(readFileSync(entry))
  }
  return hash.digest('hex').slice(0, 16)
}

function cached(directory: string): ReferenceImage | undefined {
  const description = join(directory, 'image.json')
  if (!existsSync(description)) return undefined
  const described = JSON.parse(readFileSync(description, 'utf8')) as Omit<ReferenceImage, 'path'>
  return { path: join(directory, 'reference.qcow2'), ...described }
}

async function build(
  directory: string,
  contents: readonly DebianPackage[],
  progress: (step: string) => void,
): Promise<ReferenceImage> {
  const work = mkdtempSync(`${directory}.`)
  try {
    progress(`fetching ${contents.length} Debian packages`)
    const files = join(work, 'files')
    await unpack(contents, join(dirname(directory), 'packages'), files)
    progress('arranging the root file system')
    const arranged = await arrangeContents(files, join(work, 'lists'))
    progress('writing the disk')
    const result = join(work, 'result')
    mkdirSync(result)
    const path = join(result, 'reference.qcow2')
    await writeDisk(arranged, { syslinux: join(here, 'syslinux.cfg'), grub: join(here, 'grub.cfg') }, work, path)

    const content = readFileSync(path)
    const { 'virtual-size': virtualSize } = JSON.parse(await runOrFail('qemu-img', ['info', '--output=json', path]))
    const description = {
      sha256: createHash('sha256').update(content).digest('hex'),
      size: content.length,
      virtualSize,
    }
    writeFileSync(join(result, 'image.json'), JSON.stringify(description))
    renameSync(result, directory)
    return { path: join(directory, 'reference.qcow2'), ...description }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Holds a lock that other processes respect too, and that the kernel frees if this process dies. */
async function withLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const holder = spawn('flock', [path, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(holder, 'exit')
  await Promise.race([once(holder.stdout, 'data'), exited.then(() => Promise.reject(new Error(`cannot lock ${path}`)))])
  try {
    return await action()
  } finally {
    holder.stdin.end()
    await exited
  }
}
