#!/usr/bin/env bash
# The latency harness: annotates the live pods of an app and waits for REFRESH_OK of each.
# Exit: 0 within the objective, 10 over it, 20 a pod gave no REFRESH_OK, 2 usage.
set -uo pipefail

usage() {
  cat >&2 <<'U'
usage: dev-hot-e2e.sh <app> <artifact-url> <digest> [namespace]

  app           pods are found by the label app=<app>
  artifact-url  http(s) URL of the artifact, without credentials
  digest        sha256:<64 lowercase hex> of its bytes
  namespace     default: the one of the current context

Environment:
  SLO_MS              the objective, milliseconds from the annotation to REFRESH_OK (10000)
  TIMEOUT_MS          how long to wait for a pod at most (60000)
  AETHER_SIGNATURE    the signature, hex or base64; or
  AETHER_SIGNING_KEY  path of an ed25519 private key in PEM, to sign the digest with (needs openssl 3)
  FETCHER_CONTAINER   name of the sidecar (fetcher)
U
  exit 2
}
die() { printf 'dev-hot-e2e: %s\n' "$*" >&2; exit 2; }
now() { date +%s%3N; }

[ $# -ge 3 ] && [ $# -le 4 ] || usage
app=$1 url=$2 digest=$3 container=${FETCHER_CONTAINER:-fetcher}
slo=${SLO_MS:-10000} timeout=${TIMEOUT_MS:-60000}
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || die "digest is '$digest': write sha256: and 64 lowercase hex characters"
[[ $url =~ ^https?://[^@]+$ ]] || die 'artifact-url is no http(s) URL without credentials'
[[ $slo =~ ^[0-9]+$ && $timeout =~ ^[0-9]+$ ]] || die 'SLO_MS and TIMEOUT_MS are milliseconds'
kube=(kubectl); [ $# -lt 4 ] || kube+=(-n "$4")
hex=${digest#sha256:}

work=$(mktemp -d)
followers=()
trap 'kill "${followers[@]}" 2>/dev/null; rm -rf "$work"' EXIT

signature=${AETHER_SIGNATURE:-}
if [ -z "$signature" ] && [ -n "${AETHER_SIGNING_KEY:-}" ]; then
  printf %s "$hex" >"$work/message"
  signature=$(openssl pkeyutl -sign -rawin -inkey "$AETHER_SIGNING_KEY" -in "$work/message" | base64 -w0) && [ -n "$signature" ] ||
    die "AETHER_SIGNING_KEY ($AETHER_SIGNING_KEY) cannot sign: is it an ed25519 private key in PEM?"
fi

mapfile -t pods < <("${kube[@]}" get pods -l "app=$app" --field-selector=status.phase=Running -o name)
[ ${#pods[@]} -gt 0 ] || die "no running pod has the label app=$app"

for pod in "${pods[@]}"; do
  "${kube[@]}" logs -f --tail=0 -c "$container" "$pod" >"$work/${pod#pod/}.log" 2>/dev/null & followers+=($!)
done
sleep 1 # until the logs are followed: what was logged before is not asked for

began=$(now)
"${kube[@]}" annotate "${pods[@]}" --overwrite "aether.dev/digest=$digest" "aether.dev/artifact-url=$url" \
  ${signature:+"aether.dev/signature=$signature"} >/dev/null || die 'the pods could not be annotated'

declare -A marker=() took=()
while [ ${#marker[@]} -lt ${#pods[@]} ] && [ $(($(now) - began)) -le "$timeout" ]; do
  for pod in "${pods[@]}"; do
    [ -z "${marker[$pod]:-}" ] || continue
    line=$(grep -m1 -E "^REFRESH_(OK|FAIL) .*digest=$hex" "$work/${pod#pod/}.log") && marker[$pod]=$line took[$pod]=$(($(now) - began))
  done
  sleep 0.02
done

code=0 worst=0
for pod in "${pods[@]}"; do
  name=${pod#pod/}
  if [ -z "${marker[$pod]:-}" ]; then
    printf '%-40s no REFRESH_OK in %s ms (where the pod serves this digest already there is none)\n' "$name" "$timeout"; code=20; continue
  fi
  printf '%-40s %6s ms  %s\n' "$name" "${took[$pod]}" "${marker[$pod]}"
  if [[ ${marker[$pod]} == REFRESH_FAIL* ]]; then code=20; elif [ "${took[$pod]}" -gt "$worst" ]; then worst=${took[$pod]}; fi
done
[ $code -ne 0 ] || [ "$worst" -le "$slo" ] || code=10
printf '%s pods, slowest %s ms, objective %s ms: %s\n' "${#pods[@]}" "$worst" "$slo" \
  "$(case $code in 0) echo within it ;; 10) echo OVER IT ;; *) echo NOT REFRESHED ;; esac)"
exit $code
