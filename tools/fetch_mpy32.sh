#!/bin/sh
# Unpacks Debian 13's 32-bit MicroPython with the libraries it needs into a folder of its own; nothing is installed.
# usage: fetch_mpy32.sh FOLDER     leaves FOLDER/micropython, a script that starts it
# Fails with one line where no Debian mirror is set up or reachable, or where the kernel runs no 32-bit programs.
set -eu
out=$1
rm -rf "$out"
mkdir -p "$out/lists/partial" "$out/archives/partial" "$out/root"
cd "$out"
top=$(pwd)
fail() { echo "32-bit MicroPython: $*" >&2; exit 1; }
command -v apt-get >/dev/null || fail "no apt-get on this machine"
# The mirror is the one this machine's own apt uses.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v security | grep debian | head -n 1)
[ -n "$mirror" ] || fail "no Debian package mirror is set up on this machine"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || fail "no Debian archive keys at $keys"
echo "deb [signed-by=$keys] $mirror trixie main" > sources.list
apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$top/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::lists="$top/lists" -o Dir::Cache="$top/archives" -o Dir::State::status=/dev/null \
        -o APT::Architecture=i386 -o APT::Architectures=i386 -o APT::Sandbox::User=root \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 "$@"
}
apt update || fail "the mirror does not answer"
apt download micropython libc6 libffi8 libmbedtls21 libmbedcrypto16 libmbedx509-7 || fail "packages do not arrive"
for deb in *.deb; do dpkg-deb -x "$deb" root; done
cat > start <<'S'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)/root
lib=$here/usr/lib/i386-linux-gnu
exec "$lib/ld-linux.so.2" --library-path "$lib" "$here/usr/bin/micropython" "$@"
S
chmod +x start
./start -c 'import sys; print(sys.version)' || fail "this machine runs no 32-bit programs"
# Last, so that a half-made folder is never taken for a whole one.
mv start micropython
