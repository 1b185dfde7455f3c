# Every second: where the unpacked digest is another one, waits 3 s, kills the app and starts it again.
busybox=/tools/busybox
running=
app=

trap '[ -z "$app" ] || kill "$app"; exit 0' TERM
cd /workspace || exit 1
while :; do
  digest=$($busybox cat .digest 2>/dev/null)
  if [ -n "$digest" ] && [ "$digest" != "$running" ]; then
    if [ -n "$app" ]; then
      $busybox sleep 3
      kill "$app"
      wait "$app"
    fi
    /usr/local/bin/node server.js &
    app=$!
    running=$digest
  fi
  $busybox sleep 1
done
