#!/bin/sh
# Make .env of .env.example, with a password and a token that nobody knows. One that is there stays as it is.
set -eu
cd "$(dirname "$0")/.."
if [ -e .env ]; then
    echo ".env is there already"
    exit 0
fi
umask 077
word() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
sed -e "s/^POSTGRES_PASSWORD=.*/POSTGRES_PASSWORD=$(word)/" -e "s/^RECSWEEP_TOKEN=.*/RECSWEEP_TOKEN=$(word)/" .env.example > .env
echo "made .env, which only you can read"
