#!/usr/bin/env bash
# stop PIDFILE: kills a process (-9). start PIDFILE LOG: starts it again with its old command line, folder and pid file.
set -euo pipefail
action=$1 pidfile=$2
kept=${TMPDIR:-/tmp}/aether-away-$(basename "$pidfile")

case $action in
stop)
  read -r pid <"$pidfile"
  kill -STOP "$pid" # it sends nothing more, and can still be read
  cp "/proc/$pid/cmdline" "$kept.cmdline"
  readlink "/proc/$pid/cwd" >"$kept.cwd"
  kill -9 "$pid"
  ;;
start)
  mapfile -d '' -t command <"$kept.cmdline"
  cd "$(cat "$kept.cwd")"
  setsid "${command[@]}" >>"$3" 2>&1 </dev/null &
  echo $! >"$pidfile"
  ;;
*)
  echo "process-away: $action is neither stop nor start" >&2
  exit 2
  ;;
esac
