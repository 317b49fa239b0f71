#!/usr/bin/env bash
# A Slurm of one node on this machine, without systemd, to try things out and for tests: scripts/one_node_slurm.sh start|stop DIR
# Needs Debian's packages slurmctld, slurmd, slurm-client and munge, and root. Everything it writes lies in DIR;
# SLURM_CONF=DIR/slurm.conf says to sbatch and squeue which Slurm is meant. Two partitions: jobs in `high` preempt those in `low`.
# The two GPUs of the node are made up: jobs find CUDA_VISIBLE_DEVICES, and nothing behind it.
set -euo pipefail
what=${1:?start or stop} dir=$(realpath -m "${2:?a folder}")
export SLURM_CONF=$dir/slurm.conf
socket=$dir/munge.socket

stop() {
  for name in slurmd slurmctld munged; do
    if [ -s "$dir/$name.pid" ]; then kill "$(cat "$dir/$name.pid")" 2>/dev/null || true; fi
  done
}
if [ "$what" = stop ]; then stop; exit; fi

mkdir -p "$dir"/{state,spool}
host=$(hostname -s) cores=$(nproc) memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
printf 'one node, no secrets: %s' "$dir" | sha512sum >"$dir/munge.key"
chmod 600 "$dir/munge.key"
for k in 0 1; do [ -e "$dir/gpu$k" ] || mknod "$dir/gpu$k" c 1 3; done # what stands for a GPU: /dev/null
cat >"$dir/gres.conf" <<END
Name=gpu File=$dir/gpu[0-1]
END
cat >"$SLURM_CONF" <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$socket
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SchedulerParameters=sched_interval=5,batch_sched_delay=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory Gres=gpu:2
PartitionName=low Nodes=$host Default=YES MaxTime=INFINITE PriorityTier=1 GraceTime=0
PartitionName=high Nodes=$host MaxTime=INFINITE PriorityTier=10
END
trap stop ERR
munged --force --key-file="$dir/munge.key" --socket="$socket" --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" \
  --seed-file="$dir/munged.seed"
slurmctld -c
slurmd -c
for _ in $(seq 60); do
  if sinfo -h -o %T 2>/dev/null | grep -q idle; then
    sinfo
    exit
  fi
  sleep 1
done
sinfo >&2
echo "The node did not come up; see $dir/slurmctld.log and $dir/slurmd.log." >&2
stop
exit 1
