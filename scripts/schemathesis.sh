#!/usr/bin/env bash
# Holds control against the OpenAPI document that it serves, by schemathesis from PyPI: no 5xx, no status, header or content
# type that the document does not name, no body that breaks its schema. Control runs on its embedded defaults in a temporary
# folder, with an app, a key, an archive, a tree and a deployment in it, so that there is something to be found.
# Exit: 0 nothing found, 1 findings, 2 usage or a missing tool.
set -euo pipefail

usage() {
  cat >&2 <<'U'
usage: scripts/schemathesis.sh [admin|reader|agent]...      (all three)

Environment:
  SCHEMATHESIS          the command, where it is installed; else it comes from PyPI into a temporary folder (needs python3)
  SCHEMATHESIS_SEED     of the random examples (5)
  SCHEMATHESIS_EXAMPLES for each operation and phase, at most (40)
  SCHEMATHESIS_HAR      keeps every request and answer in files whose paths begin so
U
  exit 2
}
die() { printf 'schemathesis.sh: %s\n' "$*" >&2; exit 2; }

callers=("$@")
[ $# -gt 0 ] || callers=(admin reader agent)
for caller in "${callers[@]}"; do [[ $caller =~ ^(admin|reader|agent)$ ]] || usage; done
seed=${SCHEMATHESIS_SEED:-5} examples=${SCHEMATHESIS_EXAMPLES:-40} version=4.32.5
[[ $seed =~ ^[0-9]+$ && $examples =~ ^[1-9][0-9]*$ ]] || die 'SCHEMATHESIS_SEED and SCHEMATHESIS_EXAMPLES are numbers'

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
control=
end() {
  [ -z "$control" ] || { kill "$control" 2>/dev/null; wait "$control" || true; }
  rm -rf "$work"
}
trap end EXIT
export PATH="$root/node_modules/.bin:$PATH"
cd "$work" # what schemathesis remembers stays here

if [ -z "${SCHEMATHESIS:-}" ]; then
  python3 -m venv venv || die 'python3 with its venv module is needed (apt-get install python3-venv), or SCHEMATHESIS'
  venv/bin/pip install --quiet --disable-pip-version-check "schemathesis==$version" || die 'PyPI cannot be reached'
  SCHEMATHESIS=$work/venv/bin/schemathesis
fi

declare -A token=([admin]=$(openssl rand -hex 16) [reader]=$(openssl rand -hex 16))
port=$(node -p 'const s = require("net").createServer(); s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() }); ""' | tr -d '\n')
url=http://127.0.0.1:$port
AETHER_API_TOKENS="${token[admin]}:admin:ada,${token[reader]}:reader:ray" AETHER_CONTROL_DATA_DIR=$work/control \
  AETHER_CONTROL_LISTEN_PORT=$port AETHER_LOG_LEVEL=warn node "$root/control/main.ts" >"$work/control.log" 2>&1 &
control=$!
for _ in $(seq 150); do
  ! curl -fs "$url/readyz" >/dev/null || break
  kill -0 "$control" 2>/dev/null || { cat "$work/control.log" >&2; die 'control ended'; }
  sleep 0.2
done

ask() { curl -fsS -H "authorization: Bearer ${token[admin]}" "$@"; }
openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null
printf 'any bytes' | gzip -n >artifact
digest=sha256:$(sha256sum artifact | cut -d' ' -f1)
printf %s "${digest#sha256:}" >message
signature=$(openssl pkeyutl -sign -rawin -inkey key.pem -in message | od -An -v -tx1 | tr -d ' \n')
key=$(openssl pkey -in key.pem -pubout -outform DER | tail -c 32 | od -An -v -tx1 | tr -d ' \n')
ask "$url/apps" -H 'content-type: application/json' -d '{"name":"hello"}' >/dev/null
ask "$url/apps/hello/public-keys" -H 'content-type: application/json' -d "{\"key\":\"$key\"}" >/dev/null
ask "$url/artifacts" -H 'content-type: application/gzip' -H 'aether-app: hello' -H "aether-digest: $digest" \
  -H "aether-signature: $signature" --data-binary @artifact >/dev/null
# A tree, as the command brings one. Nobody is there to serve it, so the command ends with a timeout.
mkdir app && echo '{"name":"hello"}' >app/package.json && echo '// 1' >app/server.js
HOME=$work AETHER_URL=$url AETHER_TOKEN=${token[admin]} AETHER_SIGNING_KEY=key.pem \
  node "$root/cli/main.ts" deploy app --timeout 1 >deploy.log 2>&1 || true
ask "$url/deployments?app=hello" >made.json || { cat deploy.log >&2; die 'nothing was deployed'; }
id=$(node -p 'JSON.parse(require("fs").readFileSync("made.json", "utf8")).items[0].id')
tree=$(node -p 'JSON.parse(require("fs").readFileSync("made.json", "utf8")).items[0].digest')
for _ in $(seq 50); do [ ! -s control/targets/default/hello/token ] || break; sleep 0.1; done
token[agent]=$(cat control/targets/default/hello/token)
# Half of the run names what is there; random names of apps and digests find nothing.
cat >there.toml <<T
[parameters]
"path.app" = "hello"
"path.digest" = "$tree"
"path.from" = "${tree#sha256:}"
"path.id" = "$id"
"query.app" = "hello"
"body.app" = "hello"
"body.digest" = "$digest"
"header.aether-app" = "hello"
"header.aether-digest" = "$digest"
"header.aether-signature" = "$signature"
T
: >any.toml

checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance
checks+=,response_schema_conformance,ignored_auth,unsupported_method,missing_required_header,allow_header_conformance
run() { # NAMES CALLER [option]...
  printf '\n== as %s, with %s names, seed %s\n' "$2" "$1" "$seed"
  "$SCHEMATHESIS" --config-file "$1.toml" run "$url/openapi.json" --header "Authorization: Bearer ${token[$2]}" \
    --checks "$checks" --phases examples,coverage,fuzzing,stateful --max-examples "$examples" --seed "$seed" \
    --generation-database none --request-timeout 10 --continue-on-failure --no-color --warnings off "${@:3}" ${SCHEMATHESIS_HAR:+--report har --report-har-path "$SCHEMATHESIS_HAR.$1.$2"} || found=1
  kill -0 "$control" 2>/dev/null || die 'control ended'
}
found=0
# What is stopped cannot be changed any more, so that comes last.
for caller in "${callers[@]}"; do run there "$caller" --exclude-operation-id stopDeployment; done
for caller in "${callers[@]}"; do run any "$caller"; done
# Whatever it answered: what it did not expect itself is in its log.
! grep -F '"level":50' "$work/control.log" || found=1
exit "$found"
