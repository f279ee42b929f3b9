#!/usr/bin/env bash
# Rebuild envs/requirements.lock and envs/ray.lock from the .in files (`make lock`).
#
#   envs/lock.sh UV
set -euo pipefail

uv=${1:?usage: envs/lock.sh UV}
cd "$(dirname "${BASH_SOURCE[0]}")"
"$uv" pip compile requirements.in requirements-dev.in \
  --override overrides.txt --excludes excludes.txt \
  --universal --python-version 3.11 --upgrade \
  --no-header --no-emit-index-url --annotation-style line --quiet --output-file requirements.new

{
  echo "# Made by \`make lock\` from requirements.in and requirements-dev.in; do not edit."
  echo "# Installed without dependency resolution (envs/install.sh)."
  cat requirements.new
} > requirements.lock
rm requirements.new
digest=$(sha256sum requirements.lock | cut -c1-16)
"$uv" pip compile fuzz.in --universal --python-version 3.11 --upgrade \
  --no-header --no-emit-index-url --annotation-style line --quiet --output-file fuzz.new
{ echo "# Made by \`make lock\` from fuzz.in; do not edit."; cat fuzz.new; } > fuzz.lock
rm fuzz.new

sed -i "s/^# lock: .*/# lock: $digest/" recsweep.post-deploy.sh

# Ray, in the versions of the lock above: what it needs besides, and nothing that the lock has already.
"$uv" pip compile ray.in --constraint requirements.lock \
  --universal --python-version 3.11 --upgrade \
  --no-header --no-emit-index-url --annotation-style line --quiet --output-file ray.new
{
  echo "# Made by \`make lock\` from ray.in; do not edit. Installed beside requirements.lock by \`make setup-ray\`."
  grep -vxFf <(grep -oE '^[a-z0-9._-]+==[^ ;]+' requirements.lock) <(sed -E 's/ *#.*//' ray.new) || true
} > ray.lock
rm ray.new
