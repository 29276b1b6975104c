#!/bin/sh
# Installs what this suite needs of Python into the directory named, and notes what it was.
set -eu
here=$(dirname "$0")
python3 -m venv --clear "$1"
"$1/bin/pip" install --quiet --disable-pip-version-check --require-virtualenv -r "$here/requirements.txt"
cp "$here/requirements.txt" "$1/requirements.txt"
