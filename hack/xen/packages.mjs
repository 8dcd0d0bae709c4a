/** Debian packages that a local Xen host needs on this machine. Plain data, read by the set-up before TypeScript can run. */
export const packages = [
  'e2fsprogs',
  'iproute2',
  'libvirt-clients',
  'mmdebstrap',
  'openssh-client',
  'openssl',
  'qemu-system-x86',
  'xz-utils',
]

/** Debian packages that are installed into the host's own system, its dom0, with all that they need. */
export const dom0Packages = [
  'bridge-utils',
  'busybox-static',
  'dnsmasq-base',
  'dropbear-bin',
  'iproute2',
  'libvirt-clients',
  'libvirt-daemon',
  'libvirt-daemon-driver-xen',
  'mount',
  'procps',
  'qemu-system-xen',
  'qemu-utils',
  'udev',
  'xen-utils-4.17',
  'xen-utils-common',
  'xenstore-utils',
]

/** Downloaded and unpacked, not installed. `linux-image-cloud-amd64` would not do: it is built without CONFIG_XEN_DOM0. */
export const hypervisorPackage = 'xen-hypervisor-4.17-amd64'
export const kernelMetaPackage = 'linux-image-amd64'
