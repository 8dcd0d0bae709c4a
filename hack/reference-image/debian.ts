import { mkdirSync, readdirSync } from 'node:fs'
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

/** What goes into the image, the kernel first. Reads apt's lists; downloads nothing. */
export async function imageContents(): Promise<DebianPackage[]> {
  const depends = await runOrFail('apt-cache', ['depends', '--important', kernelMetaPackage])
  const kernel = /Depends: (linux-image-\S+)/.exec(depends)?.[1]
  if (kernel === undefined) throw new Error(`apt's package lists have no ${kernelMetaPackage}: run apt-get update`)
  return Promise.all([kernel, ...imagePackages].map(describe))
}

async function describe(name: string): Promise<DebianPackage> {
  const text = await runOrFail('apt-cache', ['show', '--no-all-versions', name])
  const field = (key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(text)?.[1]
  const version = field('Version')
  const sha256 = field('SHA256')
  if (version === undefined || sha256 === undefined) {
    throw new Error(`apt's package lists have no ${name}: run apt-get update`)
  }
  return { name, version, sha256 }
}

/** The installed tools that build the image, as "name version" lines: another version may build other bytes. */
export async function buildTools(): Promise<string> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  return runOrFail('dpkg-query', ['--show', '--showformat=${Package} ${Version}\\n', ...packages])
}

/** Downloads the packages, each checked by apt against its lists, and unpacks them into `directory`. No root needed. */
export async function unpack(contents: readonly DebianPackage[], directory: string): Promise<void> {
  const downloads = join(directory, 'downloads')
  mkdirSync(downloads, { recursive: true })
  // As root, apt would fetch as another user, who may not write here.
  const options = ['-qq', '-o', 'APT::Sandbox::User=root']
  const wanted = contents.map(({ name, version }) => `${name}=${version}`)
  await runOrFail('apt-get', [...options, 'download', ...wanted], { cwd: downloads })
  for (const file of readdirSync(downloads).sort()) {
    await runOrFail('dpkg-deb', ['--extract', join(downloads, file), join(directory, 'files')])
  }
}
