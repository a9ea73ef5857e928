#!/bin/sh
# Prints the path of a Python interpreter that can make environments, found on the PATH or among the versions of pyenv:
#     tools/find_python.sh 3.12       that version
#     tools/find_python.sh newest     the newest release there is, 3.11 or newer
# Every candidate is run: a name on the PATH can be a shim that starts nothing.
wanted=${1:?usage: find_python.sh 3.12 or find_python.sh newest}
root=${PYENV_ROOT:-$(pyenv root 2>/dev/null)}
probe='import ensurepip, sys, venv
major, minor, _, level, _ = sys.version_info
if level == "final" and (major, minor) >= (3, 11):
    print(f"{major}.{minor} {sys.executable}")'

minor=30
names="python3 python"
while [ "$minor" -ge 11 ]; do
    names="$names python3.$minor"
    minor=$((minor - 1))
done
found=$(
    {
        for name in $names; do command -v "$name"; done
        [ -z "$root" ] || ls "$root"/versions/*/bin/python3 2>/dev/null
    } | while read -r candidate; do "$candidate" -c "$probe" 2>/dev/null </dev/null; done | sort -t . -k 2 -n -r
)
if [ "$wanted" != newest ]; then
    found=$(printf '%s\n' "$found" | grep "^$wanted ")
fi
if [ -z "$found" ]; then
    [ "$wanted" = newest ] && wanted="3.11 or newer"
    echo "no Python $wanted that can make environments (with venv) is on the PATH or among the versions of pyenv: install one" >&2
    exit 1
fi
printf '%s\n' "$found" | head -n 1 | cut -d ' ' -f 2-
