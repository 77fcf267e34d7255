#!/bin/sh
# Start a dask scheduler for tilesim on this host. Ends, with the scheduler, on Ctrl-C or SIGTERM.
#
#   LISTEN=10.0.0.5 sh scheduler.sh [--scheduler-file FILE] [any other option of `dask scheduler`]
#
# LISTEN     address to listen on [127.0.0.1: only this host reaches it]
# PORT       [8786]
# DASHBOARD  address of the status page [127.0.0.1:8787]; "none" for no page
# TLS_CA, TLS_CERT, TLS_KEY  PEM files; with them only encrypted, authenticated connections are taken
# DASK       the program [dask]
set -eu

port=${PORT:-8786}
dashboard=${DASHBOARD:-127.0.0.1:8787}

if [ "$dashboard" = none ]; then
    # Without the page there is still a port for health and metrics.
    set -- --no-dashboard --dashboard-address 127.0.0.1:0 "$@"
else
    set -- --dashboard-address "$dashboard" "$@"
fi
if [ -n "${TLS_CA:-}" ]; then
    set -- --protocol tls --tls-ca-file "$TLS_CA" --tls-cert "$TLS_CERT" --tls-key "$TLS_KEY" "$@"
fi
exec "${DASK:-dask}" scheduler --host "${LISTEN:-127.0.0.1}" --port "$port" "$@"
