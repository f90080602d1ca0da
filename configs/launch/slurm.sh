#!/usr/bin/env bash
# An experiment under SLURM that goes on after its time is up, from the folder of the repository:
#
#   sbatch --nodes 2 --ntasks-per-node 4 --gpus-per-node 4 configs/launch/slurm.sh \
#       --config configs/data/imagenet.yaml --config configs/victims/imagenet_local.yaml \
#       --config configs/attacks/imperceptible.yaml --data.root DIR
#
# One task per GPU. The store and the run's folder must be on a disk that all nodes see.
#SBATCH --job-name=mirage
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@60
set -u

# A minute before the time is up SLURM signals this script. The tasks end at once, and what they
# have stored is whole; unless they were done just then, the job is queued again.
asked=no
tasks=
end_tasks() { [[ -z $tasks ]] || kill -TERM "$tasks"; }
trap 'asked=yes; end_tasks' USR1

srun --kill-on-bad-exit=1 python attack.py \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" \
    --trainer.strategy ddp "$@" &
tasks=$!
[[ $asked == no ]] || end_tasks # who was asked before there was whom to end

wait "$tasks"
status=$?
if [[ $asked == yes ]]; then
    wait "$tasks"
    status=$?
    if ((status == 128 + 15)); then
        scontrol requeue "$SLURM_JOB_ID"
    fi
fi
exit "$status"
