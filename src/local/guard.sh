#!/bin/sh
# Starts a cluster's supervisor again when it has died. The supervisor does the same for this script, so that either may
# be killed. `down` ends both by making the file `stopping`.
#
# usage: guard.sh RUN_FOLDER NODE SUPERVISOR NAME CGROUP_PROCS...
run=$1
node=$2
supervisor=$3
name=$4
shift 4
cd /
# All that it starts inherits the groups.
for procs; do echo $$ > "$procs" || exit 1; done

# Is the process whose "PID START" stands in the file alive? The start time is field 22 of /proc/PID/stat.
alive() {
  pid=0 started=
  read -r pid started 2>/dev/null < "$run/supervisor.pid" || return 1
  line=
  read -r line 2>/dev/null < "/proc/$pid/stat" || return 1
  # shellcheck disable=SC2086
  set -- ${line##*) }
  [ "$1" != Z ] && [ "${20}" = "$started" ]
}

while [ ! -e "$run/stopping" ] && [ -d "$run" ]; do
  if ! alive; then
    # The supervisor says by itself when another one is alive, and ends.
    setsid "$node" --max-old-space-size=96 --max-semi-space-size=2 "$supervisor" "$name" &
    # Room to write its file before the next look.
    sleep 1
  fi
  sleep 0.5
done
