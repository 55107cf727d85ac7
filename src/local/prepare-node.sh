#!/bin/sh
# Makes the view of the file system that a cluster's processes share, inside a fresh mount namespace, and becomes the
# process that holds it. What is mounted here is seen by nobody else and ends with the last process inside.
#
# usage: prepare-node.sh NODE_LOG PAUSE
set -eu
node_log=$1
pause=$2

# Copies of other clusters' namespaces would keep those alive after their end.
while read -r _ target _; do
  case $target in /run/netns/*) umount -l "$target" ;; esac
done < /proc/self/mounts

# A /run of its own: sockets of containerd and its shims, runc's state, the pods' network namespaces.
mount -t tmpfs -o mode=755,nosuid,nodev banksman /run
mkdir -m 755 /run/netns /run/lock /run/containerd
# The pods' logs: the kubelet and what reads logs expect them at /var/log.
mkdir -p /var/log
mount --bind "$node_log" /var/log

# The kubelet insists on settings of the whole machine's kernel. They are the user's: the kubelet is shown the values
# that it asks for, and nothing is changed.
mkdir -m 755 /run/sysctl
while read -r file value; do
  [ -e "/proc/sys/$file" ] || continue
  shown=/run/sysctl/$(echo "$file" | tr / .)
  echo "$value" > "$shown"
  chmod 444 "$shown"
  mount --bind "$shown" "/proc/sys/$file"
done <<END
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END

# Volumes that a pod mounts for others (mountPropagation: Bidirectional) spread inside of the node, and stop there.
mount --make-rshared /

echo ready > /run/banksman-node
exec "$pause"
