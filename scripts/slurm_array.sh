#!/bin/bash
# A table on Slurm without anything else: each job of the array computes its share of every cell's images.
#
#   sbatch --array=0-7 scripts/slurm_array.sh experiment=la_table1 data.root=/data/la_release
#   python -m bench.report experiment=la_table1 data.root=/data/la_release
#
# From the folder of Heatproof, with `python` the one it is installed for. Options of sbatch go before the script's name:
# --partition=NAME --account=NAME --time=24:00:00. Jobs that are preempted, or at their time limit, go back to the queue and go on
# where they were; a job that failed is tried again by the same command. On PBS, LSF or by hand: run.shard=0/8, 1/8, … likewise.
#SBATCH --job-name=heatproof
#SBATCH --array=0-7
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@60
set -u
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}
trap 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"; sleep 600' USR1 # a minute before the time limit
python -m bench.run "$@" "run.shard=$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" &
wait $!
