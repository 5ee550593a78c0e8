#!/usr/bin/env bash
# valgrind.sh ARGUMENT...: runs valgrind: the one on PATH, or else the package of this machine's Debian or Ubuntu, unpacked under
# .local, without root. apt checks it against the distribution's signature. Status 3: there is no valgrind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
none() { echo "valgrind.sh: there is no valgrind: $*" >&2; exit 3; }
[ "$(uname -m)" = x86_64 ] || none "the counts of bench/paths.json are those of x86_64"
! command -v valgrind >/dev/null || exec valgrind "$@"
dir=$PWD/.local/valgrind
if [ ! -x "$dir/usr/bin/valgrind" ]; then
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || none "it is not on PATH, and this is no Debian; install it"
  rm -rf "$dir"
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  # Lists and cache of its own: those of the machine belong to root, and may be empty.
  apt() { (cd "$dir" && apt-get -qq -o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User= "$@"); }
  { apt update && apt download valgrind && dpkg-deb --extract "$dir"/valgrind_*.deb "$dir/unpacked"; } >"$dir/install.log" 2>&1 ||
    { tail -n 3 "$dir/install.log" >&2; none "apt cannot fetch it; read $dir/install.log"; }
  mv "$dir/unpacked/usr" "$dir/usr"
  rm -rf "$dir/unpacked" "$dir/lists" "$dir/cache" "$dir"/valgrind_*.deb
fi
export VALGRIND_LIB=$dir/usr/libexec/valgrind
exec "$dir/usr/bin/valgrind" "$@"
