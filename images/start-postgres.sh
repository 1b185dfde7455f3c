#!/bin/sh
# Starts PostgreSQL in the foreground with a database `aether` of the user `aether`; makes it where the volume has none.
# POSTGRES_PASSWORD, or the file that POSTGRES_PASSWORD_FILE names, is the user's password from the first start on.
set -eu
folder=/var/lib/postgresql
data=$folder/data
made=$folder/made

if [ ! -e "$made" ]; then
  if [ -e "$data" ]; then
    echo "start-postgres: the making of $data was interrupted; give an empty volume" >&2
    exit 1
  fi
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then read -r POSTGRES_PASSWORD <"$POSTGRES_PASSWORD_FILE" || :; fi
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo 'start-postgres: set POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE to a file that has it in its first line' >&2
    exit 2
  fi
  # The only copy outside the database is in a pipe.
  initdb --pgdata="$data" --username=aether --pwfile=/dev/stdin --auth=scram-sha-256 \
    --encoding=UTF8 --no-locale --no-sync <<EOF
$POSTGRES_PASSWORD
EOF
  echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
  echo 'CREATE DATABASE aether' | postgres --single -D "$data" postgres >/dev/null
  : >"$made"
fi
unset POSTGRES_PASSWORD POSTGRES_PASSWORD_FILE

exec postgres -D "$data" -c listen_addresses=0.0.0.0 -c port=5432 -c unix_socket_directories=/run/postgresql \
  -c shared_buffers=16MB -c max_connections=50 -c max_wal_size=64MB -c jit=off -c max_parallel_workers=0
