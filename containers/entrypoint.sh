#!/bin/sh
# Secrets come as files (compose, Kubernetes): each becomes a variable of this process alone, under the name of its
# file in capitals, so that `docker inspect` shows none of them. Then the command runs in the place of this script.
set -eu

folder=${RECSWEEP_SECRETS:-/run/secrets}
unset RECSWEEP_SECRETS
if [ -d "$folder" ]; then
    for file in "$folder"/*; do
        [ -f "$file" ] || continue
        name=$(basename "$file" | tr '[:lower:]' '[:upper:]')
        case $name in *[!A-Z0-9_]*) continue ;; esac
        value=$(cat "$file")
        if [ -n "$value" ]; then export "$name=$value"; fi
    done
fi
for name in ${RECSWEEP_NEEDS:-}; do
    if [ -z "$(printenv "$name")" ]; then
        echo "recsweep: $name is not set; write it into .env, which .env.example explains" >&2
        exit 2
    fi
done
unset RECSWEEP_NEEDS
# The name by which PostgreSQL's library knows it.
if [ -n "${POSTGRES_PASSWORD:-}" ]; then export PGPASSWORD="$POSTGRES_PASSWORD"; fi
unset POSTGRES_PASSWORD value name file folder
exec "$@"
