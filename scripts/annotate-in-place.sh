#!/usr/bin/env bash
# Without a control service: moves the live pods of a Deployment to a release in place, and has new pods start with it.
# Exit: 0 done, 1 not done, 2 usage.
set -uo pipefail

usage() {
  cat >&2 <<'U'
usage: annotate-in-place.sh <deployment> <digest> <artifact-url> <signature> [namespace]

  deployment    its pods are found by its selector
  digest        sha256:<64 lowercase hex> of the artifact's bytes
  artifact-url  http(s) URL of the artifact, without credentials
  signature     hex or base64; - for none
  namespace     default: the one of the current context

The template of a Deployment says what a new pod starts with, and a change of it rolls all pods, unless the ReplicaSet that
they belong to has the same change already: then the Deployment takes it for its own and makes no pod. So, while the
Deployment is paused, both are written; then the live pods are annotated.
U
  exit 2
}
die() { printf 'annotate-in-place: %s\n' "$*" >&2; exit 1; }

[ $# -ge 4 ] && [ $# -le 5 ] || usage
app=$1 digest=$2 url=$3 signature=$4
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || die "digest is '$digest': write sha256: and 64 lowercase hex characters"
[[ $url =~ ^https?://[^@\"\\]+$ ]] || die 'artifact-url is no http(s) URL without credentials'
[[ $signature =~ ^(-|[A-Za-z0-9+/=]+)$ ]] || die 'signature is neither hex nor base64; write - for none'
kube=(kubectl); [ $# -lt 5 ] || kube+=(-n "$5")

# A rollout under way has pods of two revisions: which of them a new pod will be of is not known yet.
"${kube[@]}" rollout status "deployment/$app" --timeout=5s >/dev/null || die "deployment/$app is being rolled out, or is not there: wait for its end"
[ -z "$("${kube[@]}" get deployment "$app" -o 'jsonpath={.spec.paused}')" ] || die "deployment/$app is paused: resume it first"
uid=$("${kube[@]}" get deployment "$app" -o 'jsonpath={.metadata.uid}')
revision=$("${kube[@]}" get deployment "$app" -o 'jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}')
query="{range .items[?(@.metadata.ownerReferences[0].uid==\"$uid\")]}{.metadata.annotations.deployment\\.kubernetes\\.io/revision} {.metadata.name} {.metadata.labels.pod-template-hash}{\"\\n\"}{end}"
read -r set hash < <("${kube[@]}" get replicasets -o "jsonpath=$query" | sed -n "s/^$revision //p")
[ -n "${hash:-}" ] || die "no ReplicaSet of deployment/$app is its revision $revision"

[ "$signature" = - ] && signed=null || signed="\"$signature\""
annotations="{\"aether.dev/digest\":\"$digest\",\"aether.dev/artifact-url\":\"$url\",\"aether.dev/signature\":$signed}"
template="{\"spec\":{\"template\":{\"metadata\":{\"annotations\":$annotations}}}}"

"${kube[@]}" rollout pause "deployment/$app" >/dev/null || die 'the Deployment could not be paused'
trap '"${kube[@]}" rollout resume "deployment/$app" >/dev/null' EXIT
"${kube[@]}" patch deployment "$app" --type=merge -p "$template" >/dev/null || die 'the Deployment could not be written; nothing has changed'
# Without this one the Deployment, resumed, brings the release by new pods: the same release in the end.
"${kube[@]}" patch replicaset "$set" --type=merge -p "$template" >/dev/null || die "replicaset/$set could not be written: the pods are rolled instead"
# By the hash: those of older revisions, if any still end, are left alone.
pairs=("aether.dev/digest=$digest" "aether.dev/artifact-url=$url")
[ "$signature" = - ] && pairs+=(aether.dev/signature-) || pairs+=("aether.dev/signature=$signature")
"${kube[@]}" annotate pods -l "pod-template-hash=$hash" --overwrite "${pairs[@]}" || die 'not all live pods could be annotated: run this again'
