#!/bin/bash
# Holds one local hypervisor's namespaces and clears up after them. Runs in the machine's own namespaces.
#
# usage: supervise.sh ID DIRECTORY RECORD HOSTNAME
#
# Standard input is a pipe that the owner keeps open. When the owner stops, or dies in any way, the pipe ends,
# namespace-init.sh leaves, and the kernel ends every process of its PID namespace: no process can be left over.
set -u
id=$1 directory=$2 record=$3 hostname=$4

# pdeathsig and kill-child carry a death of this script on to the namespaces.
setpriv --pdeathsig KILL \
  unshare --mount --net --pid --uts --fork --kill-child=KILL --propagation private \
  "$(dirname "$0")/namespace-init.sh" "$directory" "$hostname"

# The kernel removes the veth pair with the network namespace, but later: by name, it is gone when this returns.
if [ -f "$directory/host-interface" ]; then
  ip link delete "$(cat "$directory/host-interface")" 2>/dev/null
fi
ip netns delete "berth-$id" 2>/dev/null
# The marker guards against removing anything that startHypervisor did not make.
if [ -f "$directory/.berth-hypervisor" ]; then
  rm -rf --one-file-system "$directory"
fi
rm -f "$record"
