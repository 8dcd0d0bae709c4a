import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const cache = join(import.meta.dirname, '../../../../.cache/libvirt-source')
const headers = 'include/libvirt/'
const files = {
  remote: 'src/remote/remote_protocol.x',
  qemu: 'src/remote/qemu_protocol.x',
  net: 'src/rpc/virnetprotocol.x',
  keepalive: 'src/rpc/virkeepaliveprotocol.x',
  errors: `${headers}virterror.h`,
  domain: `${headers}libvirt-domain.h`,
  snapshot: `${headers}libvirt-domain-snapshot.h`,
  storage: `${headers}libvirt-storage.h`,
  network: `${headers}libvirt-network.h`,
  nodeDevice: `${headers}libvirt-nodedev.h`,
  secret: `${headers}libvirt-secret.h`,
  host: `${headers}libvirt-host.h`,
  common: `${headers}libvirt-common.h.in`,
} as const

/** libvirt's own descriptions, from the source package of the libvirt that this Debian has. Fetched once. */
export const libvirtSource = async (): Promise<Readonly<Record<keyof typeof files, string>>> => {
  if (Object.values(files).some((file) => !existsSync(join(cache, file)))) await download()
  const texts = Object.entries(files).map(([name, file]) => [name, readFileSync(join(cache, file), 'utf8')])
  return Object.fromEntries(texts)
}

/** `apt-get source` with package lists of its own: the machine's are not touched. */
const download = async (): Promise<void> => {
  const folder = `${cache}.${process.pid}`
  mkdirSync(join(folder, 'lists', 'partial'), { recursive: true })
  try {
    const parts = join(folder, 'sources')
    mkdirSync(parts)
    sourceLists(parts)
    const options = [
      '-qq',
      ...['-o', 'Dir::Etc::sourcelist=/dev/null'],
      ...['-o', `Dir::Etc::sourceparts=${parts}`],
      ...['-o', `Dir::State::lists=${join(folder, 'lists')}`],
      ...['-o', 'APT::Sandbox::User=root'],
    ]
    await run('apt-get', [...options, 'update'])
    await run('apt-get', [...options, 'source', '--download-only', 'libvirt'], { cwd: folder })
    const archive = readdirSync(folder).find((name) => /^libvirt_.*\.orig\.tar\.\w+$/.test(name))
    if (archive === undefined) throw new Error('the source package of libvirt has no archive')
    const wanted = Object.values(files).map((file) => `*/${file}`)
    await run('tar', ['-xf', archive, '--strip-components=1', '--wildcards', ...wanted], { cwd: folder })
    for (const name of ['lists', 'sources', archive]) rmSync(join(folder, name), { recursive: true })
    rmSync(cache, { recursive: true, force: true })
    renameSync(folder, cache)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The machine's own package sources, asked for source packages. */
const sourceLists = (folder: string): void => {
  const directory = '/etc/apt/sources.list.d'
  const lists = [
    '/etc/apt/sources.list',
    ...(existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : []),
  ].filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
  for (const [index, path] of lists.entries()) {
    const text = readFileSync(path, 'utf8')
    const sources = text.replace(/^(Types:).*$/gm, '$1 deb-src').replace(/^\s*deb\s/gm, 'deb-src ')
    writeFileSync(join(folder, `${index}.${path.split('.').at(-1)}`), sources)
  }
}
