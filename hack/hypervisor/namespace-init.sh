#!/bin/bash
# Process 1 of a local hypervisor: puts private directories over those of libvirt, then waits for the end of
# standard input. Bash, because as process 1 it reaps the orphans (QEMU daemonizes) as soon as they die: libvirt
# waits for a killed QEMU to vanish.
#
# usage: namespace-init.sh DIRECTORY HOSTNAME
set -euo pipefail
directory=$1 hostname=$2

# The process id as the machine sees it: /proc is still the machine's here.
read -r pid _ </proc/self/stat

mount -t proc proc /proc
# A /sys of this network namespace. The machine's cgroups stay hidden: two daemons would both use "machine/qemu-1-…".
umount --recursive --lazy /sys
mount -t sysfs sysfs /sys
# An empty /run hides the machine's D-Bus (machined, firewalld, polkit) and its own libvirt's sockets.
mount -t tmpfs -o mode=755 tmpfs /run

private() {
  mkdir -p "$2"
  mount --bind "$directory/$1" "$2"
}
private run /run/libvirt
private etc /etc/libvirt
private lib /var/lib/libvirt
private log /var/log/libvirt
private cache /var/cache/libvirt

hostname "$hostname"
# Consoles are locked in /var/lock, which leads here.
mkdir -p /run/lock
ip link set lo up
echo "$pid"

read -r _ || true
