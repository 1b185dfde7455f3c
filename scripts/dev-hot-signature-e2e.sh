#!/usr/bin/env bash
# What pods make of signatures: good, missing, forged, by another key, and by a rotated key. Ends with the good one serving.
# Exit: 0 each case came out right, 20 one did not, 2 usage.
set -uo pipefail

usage() {
  cat >&2 <<'U'
usage: dev-hot-signature-e2e.sh <app> <artifact-url> <digest> [namespace]

The digest must not be the one that serves already; it is left serving. Needs openssl 3 and AETHER_SIGNING_KEY, the path
of the ed25519 private key in PEM whose public half the pods trust.

Environment:
  KEYS_SECRET        the Secret that is mounted as AETHER_PUBKEY (aether-keys); the rotated key is added and taken away again
  FETCHER_CONTAINER  name of the sidecar (fetcher)
  TIMEOUT_MS         how long to wait for a pod at most (60000); a changed Secret gets 300000
U
  exit 2
}
die() { printf 'dev-hot-signature-e2e: %s\n' "$*" >&2; exit 2; }
[ $# -ge 3 ] && [ $# -le 4 ] || usage
app=$1 url=$2 digest=$3 container=${FETCHER_CONTAINER:-fetcher} secret=${KEYS_SECRET:-aether-keys}
timeout=${TIMEOUT_MS:-60000}
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || die "digest is '$digest': write sha256: and 64 lowercase hex characters"
[ -r "${AETHER_SIGNING_KEY:-}" ] || die 'AETHER_SIGNING_KEY names no readable file'
kube=(kubectl); [ $# -lt 4 ] || kube+=(-n "$4")

work=$(mktemp -d)
undo() {
  [ ! -e "$work/patched" ] || "${kube[@]}" patch secret "$secret" --type=merge -p '{"data":{"dev-hot-rotated.pem":null}}' >/dev/null
  rm -rf "$work"
}
trap undo EXIT
printf %s "${digest#sha256:}" >"$work/message"
printf %064d 0 >"$work/no-message"
sign() { openssl pkeyutl -sign -rawin -inkey "$1" -in "$work/${2:-message}" | base64 -w0; }
openssl genpkey -algorithm ed25519 -out "$work/other.pem" 2>/dev/null || die 'openssl cannot make an ed25519 key'
good=$(sign "$AETHER_SIGNING_KEY") && [ -n "$good" ] || die 'AETHER_SIGNING_KEY cannot sign: is it ed25519 in PEM?'
other=$(sign "$work/other.pem")
# By the right key, for another digest: a byte put into the good one may be the byte that was there.
forged=$(sign "$AETHER_SIGNING_KEY" no-message)

mapfile -t pods < <("${kube[@]}" get pods -l "app=$app" --field-selector=status.phase=Running -o name)
[ ${#pods[@]} -gt 0 ] || die "no running pod has the label app=$app"
outcomes() { "${kube[@]}" logs "$1" -c "$container" --tail=-1 | grep -cE "^REFRESH_(OK|FAIL) "; }
last() { "${kube[@]}" logs "$1" -c "$container" --tail=-1 | grep -E "^REFRESH_(OK|FAIL) " | tail -n 1; }

code=0
# attempt CASE EXPECTED DIGEST URL SIGNATURE [TIMEOUT_MS]: annotates all pods and waits for one more outcome of each that
# matches EXPECTED; with a TIMEOUT_MS the annotations are written again now and then.
attempt() {
  local name=$1 expected=$2 digest=$3 url=$4 signature=$5 limit=${6:-$timeout} pod line ok=0 began
  local -A before=()
  for pod in "${pods[@]}"; do before[$pod]=$(outcomes "$pod"); done
  local pair="aether.dev/signature=$signature"; [ -n "$signature" ] || pair='aether.dev/signature-'
  began=$(date +%s%3N)
  "${kube[@]}" annotate "${pods[@]}" --overwrite "aether.dev/digest=$digest" "aether.dev/artifact-url=$url" \
    "aether.dev/build-time=$began" "$pair" >/dev/null || die 'the pods could not be annotated'
  for pod in "${pods[@]}"; do
    line=''
    while [ $(($(date +%s%3N) - began)) -lt "$limit" ]; do
      if [ "$(outcomes "$pod")" -gt "${before[$pod]}" ]; then line=$(last "$pod"); [[ ! $line =~ $expected ]] || break; fi
      sleep 0.2
      # A Secret reaches the pods when the kubelet gets to it: written again, the annotations are tried again.
      [ $# -lt 6 ] || [ $((RANDOM % 10)) -ne 0 ] || "${kube[@]}" annotate "$pod" --overwrite "aether.dev/build-time=$(date +%s%3N)" >/dev/null
    done
    if [[ $line =~ $expected ]]; then ok=$((ok + 1)); else code=20; fi
  done
  printf '%-14s %s of %s pods as expected   %s\n' "$name" "$ok" ${#pods[@]} "$line"
}
annotation() { "${kube[@]}" get "${pods[0]}" -o "jsonpath={.metadata.annotations.aether\.dev/$1}"; }
old_digest=$(annotation digest) old_url=$(annotation artifact-url) old_signature=$(annotation signature)
[ "$old_digest" != "$digest" ] || die 'the pods are annotated with this digest already: take another artifact'

attempt missing '^REFRESH_FAIL .*reason=signature .*detail=missing' "$digest" "$url" ''
attempt forged '^REFRESH_FAIL .*reason=signature .*detail=invalid' "$digest" "$url" "$forged"
attempt 'wrong key' '^REFRESH_FAIL .*reason=signature .*detail=invalid' "$digest" "$url" "$other"
public=$(openssl pkey -in "$work/other.pem" -pubout | base64 -w0)
touch "$work/patched"
"${kube[@]}" patch secret "$secret" --type=merge -p "{\"data\":{\"dev-hot-rotated.pem\":\"$public\"}}" >/dev/null ||
  die "the Secret $secret cannot be changed"
attempt 'rotated key' "^REFRESH_OK .*digest=${digest#sha256:}" "$digest" "$url" "$other" 300000
attempt 'the one before' "^REFRESH_OK .*digest=${old_digest#sha256:}" "$old_digest" "$old_url" "$old_signature"
attempt good "^REFRESH_OK .*digest=${digest#sha256:}" "$digest" "$url" "$good"
exit $code
