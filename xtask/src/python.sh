#!/bin/sh
# Installs the Python packages of a list ($2) into an environment of their own ($1), and notes there what it was.
set -eu
python3 -m venv --clear "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --require-virtualenv -r "$2"
cp "$2" "$1/requirements.txt"
