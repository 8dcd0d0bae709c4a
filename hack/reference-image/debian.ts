import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { runOrFail } from '../hypervisor/process.ts'
import { imagePackages, packages } from './packages.mjs'

/** A Debian package as the package lists of this machine offer it. */
export interface DebianPackage {
  readonly name: string
  readonly version: string
  /** Of the .deb file. */
  readonly sha256: string
}

const kernelMetaPackage = 'linux-image-cloud-amd64'

/**
 * What goes into the image, the kernel first. Reads apt's lists; downloads nothing. Apt may take seconds of CPU for an
 * answer, so `directory` keeps the last one for as long as the lists stay as they are.
 */
export async function imageContents(directory: string): Promise<DebianPackage[]> {
  const kept = join(directory, 'contents.json')
  const lists = digestOfLists()
  if (existsSync(kept)) {
    const { lists: then, contents } = JSON.parse(readFileSync(kept, 'utf8')) as {
      lists: string
      contents: DebianPackage[]
    }
    if (then === lists) return contents
  }
  const contents = [await kernelOf(kernelMetaPackage), ...(await describePackages(imagePackages))]
  writeFileSync(`${kept}.${process.pid}`, JSON.stringify({ lists, contents }))
  renameSync(`${kept}.${process.pid}`, kept)
  return contents
}

/** The kernel that a package such as linux-image-amd64 stands for. */
export async function kernelOf(metaPackage: string): Promise<DebianPackage> {
  const [meta] = await stanzas([metaPackage])
  const name = /^Depends:.*\b(linux-image-[^ ,]+)/m.exec(meta ?? '')?.[1]
  const [kernel] = name === undefined ? [] : await describePackages([name])
  if (kernel === undefined) throw new Error(`apt's package lists have no ${metaPackage}: run apt-get update`)
  return kernel
}

/** The packages in the version that apt would install, in the order of their names given. */
export async function describePackages(names: readonly string[]): Promise<DebianPackage[]> {
  const described = (await stanzas(names)).map((stanza) => {
    const field = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(stanza)?.[1] ?? ''
    return { name: field('Package'), version: field('Version'), sha256: field('SHA256') }
  })
  return names.map((name) => {
    const found = described.find((item) => item.name === name && item.sha256 !== '')
    if (found === undefined) throw new Error(`apt's package lists have no ${name}: run apt-get update`)
    return found
  })
}

async function stanzas(names: readonly string[]): Promise<string[]> {
  return (await runOrFail('apt-cache', ['show', '--no-all-versions', ...names])).split('\n\n')
}

/** Changes with every update of apt's lists, and with our own. */
function digestOfLists(): string {
  const directory = '/var/lib/apt/lists'
  const files = readdirSync(directory).map((name) => {
    const { size, mtimeMs } = statSync(join(directory, name))
    return [name, size, mtimeMs]
  })
  return createHash('sha256')
    .update(JSON.stringify([files.sort(), imagePackages]))
    .digest('hex')
}

/** The installed tools that build the image, as "name version" lines: another version may build other bytes. */
export async function buildTools(): Promise<string> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  return runOrFail('dpkg-query', ['--show', '--showformat=${Package} ${Version}\\n', ...packages])
}

/**
 * Unpacks the packages into `directory`. No root needed. Downloads those that `downloads` does not hold, and checks
 * each against the checksum of apt's lists, which are signed.
 */
export async function unpack(contents: readonly DebianPackage[], downloads: string, directory: string): Promise<void> {
  mkdirSync(downloads, { recursive: true })
  const stored = ({ sha256 }: DebianPackage) => join(downloads, `${sha256}.deb`)
  const missing = contents.filter((item) => !existsSync(stored(item)))
  if (missing.length > 0) await download(missing, downloads)
  for (const item of contents) {
    if (!existsSync(stored(item))) throw new Error(`${item.name} ${item.version}: the download's checksum is wrong`)
    await runOrFail('dpkg-deb', ['--extract', stored(item), directory])
  }
}

/** Stores each file by its checksum, by rename: a half download is never taken for a whole one. */
async function download(missing: readonly DebianPackage[], downloads: string): Promise<void> {
  const directory = mkdtempSync(join(downloads, 'new.'))
  try {
    // As root, apt would fetch as another user, who may not write here.
    const options = ['-qq', '-o', 'APT::Sandbox::User=root']
    const wanted = missing.map(({ name, version }) => `${name}=${version}`)
    await runOrFail('apt-get', [...options, 'download', ...wanted], { cwd: directory })
    for (const file of readdirSync(directory)) {
      const sha256 = createHash('sha256')
        .update(readFileSync(join(directory, file)))
        .digest('hex')
      renameSync(join(directory, file), join(downloads, `${sha256}.deb`))
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
