import { writeFileSync } from 'node:fs'
import { run, runOrFail } from '../hypervisor/process.ts'
import type { Tree } from './tree.ts'

export interface Ext4Options {
  readonly label: string
  readonly uuid: string
  readonly mebibytes: number
  /** Seconds since 1970 that every time stamp shows. */
  readonly time: number
}

/**
 * Writes the tree as an ext4 image at `path`, byte for byte the same for the same tree. `mke2fs -d` would copy the
 * change times and the directory order of the building machine; so debugfs writes each entry, then sets its times.
 */
export async function writeExt4(tree: Tree, path: string, options: Ext4Options): Promise<void> {
  const env = { E2FSPROGS_FAKE_TIME: String(options.time), TZ: 'UTC' }
  const extended = `hash_seed=${options.uuid},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0`
  await runOrFail(
    '/sbin/mke2fs',
    [
      ...['-q', '-F', '-t', 'ext4', '-b', '4096', '-N', '2048', '-m', '0', '-J', 'size=4', '-E', extended],
      ...['-L', options.label, '-U', options.uuid, path, `${options.mebibytes}M`],
    ],
    { env },
  )

  const commands: string[] = []
  const setTimes = (entry: string) => {
    for (const field of ['atime', 'ctime', 'mtime', 'crtime']) commands.push(`sif ${entry} ${field} @${options.time}`)
  }
  for (const [entryPath, entry] of tree.entries()) {
    if (/[\s"]/.test(entryPath)) throw new Error(`debugfs cannot write '${entryPath}'`)
    if (entry.type === 'directory') {
      commands.push(`mkdir ${entryPath}`, `sif ${entryPath} mode 0${(0o040000 | entry.mode).toString(8)}`)
    } else if (entry.type === 'link') {
      commands.push(`symlink ${entryPath} ${entry.target}`)
    } else {
      commands.push(`write "${entry.source}" ${entryPath}`)
      commands.push(`sif ${entryPath} mode 0${(0o100000 | entry.mode).toString(8)}`)
      for (const field of ['uid', 'gid']) commands.push(`sif ${entryPath} ${field} 0`)
    }
  }
  // Afterwards, because an entry changes the times of the directory that it is written to.
  for (const [entryPath] of tree.entries()) setTimes(entryPath)
  setTimes('/')
  const script = `${path}.debugfs`
  writeFileSync(script, `${commands.join('\n')}\n`)
  // debugfs exits with 0 whatever fails; it echoes commands to standard output, errors to the other.
  const result = await run('/sbin/debugfs', ['-w', '-f', script, path], { env })
  const errors = result.stderr.split('\n').filter((line) => line !== '' && !line.startsWith('debugfs '))
  if (result.code !== 0 || errors.length > 0) throw new Error(`debugfs: ${errors.slice(0, 5).join('; ')}`)
}
