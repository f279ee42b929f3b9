#!/usr/bin/env bash
# Rebuild the locks from the .in files (`make lock`).
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

# Extras, in the versions of the lock above: what each needs besides, and nothing that the lock has already.
for extra in ray cluster buckets trackers models; do
  how=--constraint
  # botocore asks for an older dateutil than matplotlib's; it works with that.
  [ "$extra" != buckets ] || how=--override
  "$uv" pip compile "$extra.in" "$how" requirements.lock \
    --universal --python-version 3.11 --upgrade \
    --no-header --no-emit-index-url --annotation-style line --quiet --output-file "$extra.new"
  {
    echo "# Made by \`make lock\` from $extra.in; do not edit. Installed beside requirements.lock by \`make setup-$extra\`."
    grep -vEf <(sed -nE 's/^([a-z0-9._-]+==[^ ;]+).*/^\1( |$)/p' requirements.lock) <(sed -E 's/ *#.*//' "$extra.new") || true
  } > "$extra.lock"
  rm "$extra.new"
done

# The servers of buckets of the tests, in a venv of their own.
"$uv" pip compile buckets-test.in --universal --python-version 3.11 --upgrade \
  --no-header --no-emit-index-url --annotation-style line --quiet --output-file buckets-test.new
{ echo "# Made by \`make lock\` from buckets-test.in; do not edit."; cat buckets-test.new; } > buckets-test.lock
rm buckets-test.new
