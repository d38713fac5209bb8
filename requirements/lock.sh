#!/bin/sh
# Writes the locks anew from pyproject.toml, for every platform and Python that the package supports, with a hash for each
# file and without any address. Keeps the pins that still fit; `UPGRADE=--upgrade` takes the newest.
set -eu

command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv" >&2; exit 1; }

# $1: the file to write; the rest goes to uv.
compile() {
    out=$1
    shift
    uv pip compile "$@" --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet \
        --output-file "$out" ${UPGRADE:-}
}

# pip takes `name[extra]==1` for no pin of `name`, and the other way round: where there are extras, say both.
say_both() {
    awk '
        function flush(bare) {
            if (block ~ /^[A-Za-z0-9._-]+\[/) { bare = block; sub(/\[[^]]*\]/, "", bare); printf "%s", bare }
            printf "%s", block
            block = ""
        }
        /^[^ #]/ { flush() }
        { block = block $0 "\n" }
        END { flush() }
    ' "$1" >"$1.new"
    mv "$1.new" "$1"
}

compile requirements/dev.txt pyproject.toml --extra duckdb --extra object-store --extra postgres --extra dev \
    --constraint requirements/constraints.txt --override requirements/overrides.txt
say_both requirements/dev.txt

# Whatever can be the same as above is: it is there already when this is installed.
[ -f requirements/airflow31.txt ] || cp requirements/dev.txt requirements/airflow31.txt
compile requirements/airflow31.txt pyproject.toml requirements/airflow31.in --extra duckdb --extra postgres \
    --constraint requirements/constraints.txt --override requirements/overrides.txt
say_both requirements/airflow31.txt

for dbt in dbt110 dbt111; do
    compile "requirements/$dbt.txt" "requirements/$dbt.in" --constraint requirements/constraints.txt
done

echo uv | compile requirements/uv.txt -
