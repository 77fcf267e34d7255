#!/bin/sh
# Start dask workers for tilesim on this host: one process per GPU, or processes that share the cores.
# All of them end on Ctrl-C or SIGTERM.
#
#   sh workers.sh tcp://10.0.0.5:8786 [any option of `dask worker`]
#   sh workers.sh --scheduler-file FILE [any option of `dask worker`]
#
# LISTEN     address to listen on [127.0.0.1: other hosts do not reach it; set it on a cluster]; "auto" for all addresses,
#            of which the scheduler is told the one that faces it
# GPUS       GPUs to use, by number, such as "0 1 2 3" [all that nvidia-smi lists; "" for none]
# CORES      cores to use where there are no GPUs [all]
# THREADS    threads of a worker process without GPU [8, or the cores where there are fewer]
# WAIT       seconds to wait for a scheduler, at the start and after it went, such as to restart [300]
# MEMORY     limit of a worker process, such as 16GB [auto: its share of the host]
# TLS_CA, TLS_CERT, TLS_KEY  PEM files, as for the scheduler
# DASK       the program [dask]
set -eu

dask=${DASK:-dask}
if [ -z "${GPUS+given}" ]; then
    GPUS=
    if command -v nvidia-smi >/dev/null; then
        GPUS=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null || true)
    fi
fi
# Workers without a scheduler for so long give up, so that nothing is left of a cluster that died.
set -- --memory-limit "${MEMORY:-auto}" --dashboard-address 127.0.0.1:0 \
    --death-timeout "${WAIT:-300}" "$@"
if [ "${LISTEN:-}" != auto ]; then
    set -- --host "${LISTEN:-127.0.0.1}" "$@"
fi
if [ -n "${TLS_CA:-}" ]; then
    set -- --tls-ca-file "$TLS_CA" --tls-cert "$TLS_CERT" --tls-key "$TLS_KEY" "$@"
fi

# Run a worker again whenever it ended well: its scheduler went, and may restart. It fails where none comes in time.
keep() {
    worker=
    trap 'trap - INT TERM; kill -TERM $worker 2>/dev/null; wait; exit 0' INT TERM
    while :; do
        "$dask" worker "$@" &
        worker=$!
        wait "$worker" || return
        echo "workers.sh: the scheduler went; waiting for one" >&2
    done
}

children=
stop() {
    trap - INT TERM
    # shellcheck disable=SC2086
    kill -TERM $children 2>/dev/null || true
    wait
    exit 0
}
trap stop INT TERM

if [ -n "$GPUS" ]; then
    for gpu in $GPUS; do
        # tilesim sends one tile at a time to each GPU: it asks for the resource, and the scheduler counts.
        CUDA_VISIBLE_DEVICES=$gpu keep --nworkers 1 --nthreads 1 --resources GPU=1 "$@" &
        children="$children $!"
    done
else
    cores=${CORES:-$(nproc)}
    threads=${THREADS:-$((cores < 8 ? cores : 8))}
    processes=$((cores / threads > 0 ? cores / threads : 1))
    CUDA_VISIBLE_DEVICES='' keep --nworkers "$processes" --nthreads "$threads" "$@" &
    children=$!
fi
wait
echo "workers.sh: no scheduler for ${WAIT:-300} s, or workers that do not start; gave up" >&2
exit 1
