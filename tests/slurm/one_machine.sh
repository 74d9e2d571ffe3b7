#!/usr/bin/env bash
# A Slurm of one node on this machine, for the tests: Debian's slurm-wlm and munge, as root, without systemd or cgroups.
#   one_machine.sh up DIR PORT      starts munged, slurmctld (on PORT) and slurmd (on PORT + 1); all state is in DIR
#   one_machine.sh slurmd DIR       starts slurmd again, after it was killed
#   one_machine.sh down DIR         ends what was started
# Clients need SLURM_CONF=DIR/slurm.conf.
set -euo pipefail
what=$1 dir=$2
export SLURM_CONF=$dir/slurm.conf

write_configuration() {
  local port=$1 host
  host=$(hostname -s)
  cat > "$SLURM_CONF" <<CONF
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is queued anew waits until the credentials of its last start have expired, by default two minutes.
AuthInfo=socket=$dir/munge.socket,cred_expire=10
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
# What needs neither cgroups nor a database.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
# A node that has not answered for so long is down, and its jobs are queued anew; it is taken back when it answers.
SlurmdTimeout=15
ReturnToService=2
JobRequeue=1
KillWait=20
# Four cores, whatever the machine has: the jobs of the tests are small.
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
  echo 'CgroupPlugin=autodetect' > "$dir/cgroup.conf"
}

wait_for_node() {
  for _ in $(seq 300); do
    if sinfo --noheader --format=%T 2> /dev/null | grep -qE '^(idle|mixed|allocated)$'; then return; fi
    sleep 0.2
  done
  echo "the node did not come up; the logs are in $dir" >&2
  exit 1
}

case $what in
  up)
    mkdir -p "$dir/state" "$dir/spool"
    write_configuration "$3"
    (umask 077 && head -c 1024 /dev/urandom > "$dir/munge.key")
    # --force: as root and below a private folder, which it would rather not.
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
      --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" 2> "$dir/munged.stderr"
    slurmctld -c -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF"
    wait_for_node
    ;;
  slurmd)
    slurmd -f "$SLURM_CONF"
    wait_for_node
    ;;
  down)
    scancel --user=root 2> /dev/null || true
    for daemon in slurmd slurmctld munged; do
      if [ ! -s "$dir/$daemon.pid" ]; then continue; fi
      pid=$(cat "$dir/$daemon.pid")
      kill "$pid" 2> /dev/null || continue
      # Until it is gone, or not to be waited for any longer: what it was doing is of no use to anybody.
      for _ in $(seq 100); do
        kill -0 "$pid" 2> /dev/null || break
        sleep 0.1
      done
      kill -KILL "$pid" 2> /dev/null || true
    done
    ;;
  *)
    echo "up, slurmd or down, not $what" >&2
    exit 2
    ;;
esac
