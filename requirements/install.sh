#!/bin/sh
# Makes $VENV with $PYTHON and installs $LOCK into it. Needs Python and its venv module, nothing else; uses uv, which is
# several times faster than pip, from the machine or, pinned by its hash, from the package index.
set -eu

"$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
    echo "Python 3.11, 3.12 or 3.13 is needed, and $PYTHON is $("$PYTHON" --version 2>&1). Try: make PYTHON=python3.12 ..." >&2
    exit 1
}
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
"$VENV/bin/python" -m pip --version >/dev/null 2>&1 || "$VENV/bin/python" -m ensurepip >/dev/null

pip() { "$VENV/bin/python" -m pip --disable-pip-version-check "$@"; }

# uv does not read pip's configuration, so an index that a company set for pip is told to it.
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    index=$(pip config list | sed -n "s/^\(global\|install\|:env:\)\.index-url='\(.*\)'\$/\2/p" | tail -n 1)
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
fi

if uv --version >/dev/null 2>&1; then
    uv=uv
elif pip install --quiet --require-hashes -r requirements/uv.txt; then
    uv="$VENV/bin/uv"
else
    uv=false
fi

echo "Installing the packages of $LOCK into $VENV"
"$uv" pip install --quiet --no-deps --python "$VENV/bin/python" --require-hashes -r "$LOCK" || {
    echo "Trying once more with pip, which takes a minute or two"
    pip install --quiet --no-deps --require-hashes -r "$LOCK"
}
