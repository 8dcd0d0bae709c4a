import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { runOrFail } from '../hypervisor/process.ts'
import type { ImageContents } from './contents.ts'
import { cpioArchive } from './cpio.ts'
import { writeExt4 } from './ext4.ts'

const mebibyte = 2 ** 20
const bootMebibytes = 20
const rootMebibytes = 42
/** 2026-01-01: the one time stamp in the image. */
const sourceDateEpoch = 1767225600
const rootUuid = '62657274-6872-4566-8572-656e63650001'
const fatVolumeId = 'bef00001'
const diskSignature = 0xbef00002

/** What boots the kernel: syslinux from the BIOS, and pygrub, which reads GRUB's file, for a PV guest of Xen. */
export interface BootConfigurations {
  readonly syslinux: string
  readonly grub: string
}

/** Puts the parts together as a bootable qcow2 disk at `path`: an MBR, syslinux on FAT, a root on ext4. */
export async function writeDisk(
  contents: ImageContents,
  configurations: BootConfigurations,
  work: string,
  path: string,
) {
  const boot = await writeBootPartition(contents, configurations, work)
  const root = join(work, 'root.ext4')
  await writeExt4(contents.root, root, {
    label: 'reference',
    uuid: rootUuid,
    mebibytes: rootMebibytes,
    time: sourceDateEpoch,
  })

  const raw = join(work, 'disk.raw')
  writeFileSync(raw, masterBootRecord())
  truncateSync(raw, (1 + bootMebibytes + rootMebibytes + 1) * mebibyte)
  const disk = openSync(raw, 'r+')
  writeSync(disk, readFileSync(boot), 0, undefined, mebibyte)
  writeSync(disk, readFileSync(root), 0, undefined, (1 + bootMebibytes) * mebibyte)
  closeSync(disk)
  await runOrFail('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', '-c', raw, path])
}

async function writeBootPartition(
  { kernel, initramfs }: ImageContents,
  configurations: BootConfigurations,
  work: string,
): Promise<string> {
  const image = join(work, 'boot.fat')
  const files = [join(work, 'vmlinuz'), join(work, 'initrd.img'), join(work, 'syslinux.cfg')] as const
  const directory = join(work, 'boot')
  const grub = join(directory, 'grub', 'grub.cfg')
  mkdirSync(dirname(grub), { recursive: true })
  copyFileSync(kernel, files[0])
  writeFileSync(files[1], gzipSync(cpioArchive(initramfs), { level: 9 }))
  copyFileSync(configurations.syslinux, files[2])
  copyFileSync(configurations.grub, grub)
  for (const file of [...files, grub, dirname(grub), directory]) utimesSync(file, sourceDateEpoch, sourceDateEpoch)

  const env = { SOURCE_DATE_EPOCH: String(sourceDateEpoch), TZ: 'UTC', MTOOLS_SKIP_CHECK: '1' }
  const size = String(bootMebibytes * 1024)
  await runOrFail('/sbin/mkfs.vfat', ['--invariant', '-i', fatVolumeId, '-n', 'REFBOOT', '-C', image, size], { env })
  await runOrFail('mcopy', ['-s', '-m', '-i', image, ...files, directory, '::'], { env })
  await runOrFail('syslinux', ['--install', image], { env })
  return image
}

/** Boot code and two partitions in logical block addresses; cylinders, heads and sectors say "beyond reach". */
function masterBootRecord(): Buffer {
  const record = Buffer.alloc(512)
  readFileSync('/usr/lib/syslinux/mbr/mbr.bin').copy(record, 0, 0, 440)
  record.writeUInt32LE(diskSignature, 440)
  const partition = (index: number, active: boolean, type: number, startMebibytes: number, mebibytes: number) => {
    const at = 446 + 16 * index
    record.set([active ? 0x80 : 0, 0xfe, 0xff, 0xff, type, 0xfe, 0xff, 0xff], at)
    record.writeUInt32LE((startMebibytes * mebibyte) / 512, at + 8)
    record.writeUInt32LE((mebibytes * mebibyte) / 512, at + 12)
  }
  partition(0, true, 0x0e, 1, bootMebibytes)
  partition(1, false, 0x83, 1 + bootMebibytes, rootMebibytes)
  record.writeUInt16LE(0xaa55, 510)
  return record
}
