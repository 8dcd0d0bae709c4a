/** Debian packages that a local hypervisor needs. Plain data, read by the set-up before TypeScript can run. */
export const packages = [
  'libvirt-daemon-system',
  'libvirt-daemon',
  'libvirt-daemon-driver-qemu',
  'libvirt-clients',
  'qemu-system-x86',
  'qemu-utils',
  'dnsmasq-base',
  'iptables',
  'iproute2',
  'openssl',
  'openssh-client',
  'openssh-server',
  'sasl2-bin',
  'libsasl2-modules-db',
  'genisoimage',
]
