#!/bin/sh
# Installs what is missing of debian.txt when root on Debian; otherwise names it. Never fails: tests skip what they lack.
# Usage: sh requirements/debian.sh [PACKAGE...]     (default: the whole list)
set -u
PATH="$PATH:/usr/sbin:/sbin"
list="$(dirname "$0")/debian.txt"

present() { # PROOF
    case "$1" in
        python3-venv) "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null ;;
        # A path may hold a *, for a version or an architecture. shellcheck disable=SC2086
        /*) set -- $1 && [ -e "$1" ] ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing=
while read -r package proof; do
    case "$package" in '' | '#'*) continue ;; esac
    [ $# -eq 0 ] || case " $* " in *" $package "*) ;; *) continue ;; esac
    present "$proof" || missing="$missing $package"
done < "$list"
[ -n "$missing" ] || exit 0

chosen() { # PACKAGE|PACKAGE...: the first that this Debian has, or the first
    first=${1%%|*}
    for name in $(echo "$1" | tr '|' ' '); do
        if apt-cache show "$name" >/dev/null 2>&1; then first=$name; break; fi
    done
    echo "$first"
}

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null
    wanted=$missing missing=
    for one in $wanted; do missing="$missing $(chosen "$one")"; done
    echo "Installing$missing"
    # shellcheck disable=SC2086  # a list of words
    apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        echo "Could not install$missing: the tests that need them are skipped" >&2
else
    echo "Missing on this machine:$missing" >&2
    echo "The tests that need them are skipped. As root on Debian: apt-get install$missing" >&2
fi
exit 0
