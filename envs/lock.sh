#!/usr/bin/env bash
# Rebuild envs/requirements.lock from the .in files (`make lock`).
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
sed -i "s/^# lock: .*/# lock: $digest/" recsweep.post-deploy.sh
