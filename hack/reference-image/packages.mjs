/** Debian packages whose tools build the reference image. Plain data, read by the set-up before TypeScript can run. */
export const packages = [
  'busybox-static',
  'e2fsprogs',
  'dosfstools',
  'mtools',
  'syslinux',
  'syslinux-common',
  'qemu-utils',
]

/**
 * Debian packages whose files go into the image. They are downloaded and unpacked, not installed. The kernel is the
 * one that `linux-image-cloud-amd64` depends on.
 */
export const imagePackages = [
  'busybox-static',
  'dropbear-bin',
  'ucspi-tcp',
  'qemu-guest-agent',
  'libc6',
  'libcrypt1',
  'libglib2.0-0',
  'libgmp10',
  'libnuma1',
  'libpcre2-8-0',
  'libtomcrypt1',
  'libtommath1',
  'libudev1',
  'liburing2',
  'zlib1g',
]
