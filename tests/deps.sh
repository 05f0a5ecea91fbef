#!/bin/sh
# Installs with apt-get what is missing of the packages to build offhook and to test it; nothing when all is
# there. Services that such a package brings are not started, and their ports stay free. With -n it installs
# nothing, says what is missing, and exits 1 when something is.
set -eu

tools="make pkg-config git"
headers="libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libexpected-dev doctest-dev"
libraries="libre-dev librem-dev libssl-dev libopus-dev libspeexdsp-dev libsndfile1-dev libasound2-dev libncurses-dev \
libspandsp-dev libusrsctp-dev libwebrtc-audio-processing-dev libexpat1-dev"
build="g++ $tools $headers $libraries"
test="libsrtp2-dev python3 openssl baresip-core sip-tester kamailio kamailio-tls-modules kamailio-presence-modules \
kamailio-websocket-modules kamailio-outbound-modules coturn espeak-ng mandoc tcpdump tshark \
chromium chromium-driver firefox-esr baresip-ffmpeg rtpengine-daemon iproute2 iptables python3-websockets nginx-light"

bench="baresip-core libsofia-sip-ua-dev kamailio kamailio-tls-modules kamailio-websocket-modules rtpengine-daemon openssl"

usage() {
    echo "usage: deps.sh [-n] [build|demo|bench|all|cross ARCH]" >&2
    exit 2
}
only_tell=
[ "${1:-}" != -n ] || { only_tell=y; shift; }
foreign=
case "${1:-all}" in
bench) wanted="$build python3 $bench" ;;
build) wanted=$build ;;
demo) wanted="$build python3 espeak-ng" ;;
all) wanted="$build $test" ;;
cross) # Debian's cross compiler, and the libraries of that machine beside this one's
    [ $# = 2 ] || usage
    foreign=$2
    wanted="crossbuild-essential-$foreign $tools $headers"
    for library in $libraries; do wanted="$wanted $library:$foreign"; done ;;
*) usage ;;
esac

command -v dpkg-query >/dev/null || { echo "no dpkg here: install what docs/hacking.md lists by hand" >&2; exit 0; }
missing=
for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$only_tell" ]; then
    [ -n "$missing" ] || exit 0
    echo "missing:$missing" >&2
    echo "install them (in a chroot, to keep $(dpkg --print-architecture) alone here): tests/deps.sh $*" >&2
    exit 1
fi
root=
[ "$(id -u)" = 0 ] || root=sudo

# invoke-rc.d asks /usr/sbin/policy-rc.d before it starts a service; ours says no, and goes away again.
policy=/usr/sbin/policy-rc.d
no_services() {
    [ ! -e $policy ] || return 0
    trap '$root rm -f $policy' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null
    $root chmod +x $policy
}
install() {
    echo "installing:$missing" >&2
    no_services
    if [ -n "$foreign" ] && ! dpkg --print-foreign-architectures | grep -qx "$foreign"; then
        $root dpkg --add-architecture "$foreign"
        $root apt-get update -q >&2
    fi
    # shellcheck disable=SC2086
    set -- env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qy --no-install-recommends $missing
    $root "$@" >&2 || { $root apt-get update -q >&2 && $root "$@" >&2; }
}
[ -z "$missing" ] || install

# JavaScript for the browser tests, into build/js: JsSIP ships no bundle, esbuild makes one.
[ "${1:-all}" = all ] || exit 0
js=$(dirname "$0")/../build/js
if [ ! -e "$js/node_modules/jssip" ] || [ ! -e "$js/node_modules/sip.js" ] || [ ! -e "$js/node_modules/axe-core" ] || [ ! -x "$js/node_modules/.bin/esbuild" ]; then
    command -v npm >/dev/null || { missing=" nodejs npm"; install; }
    mkdir -p "$js"
    npm install --silent --no-audit --no-fund --prefix "$js" jssip@3.13.8 sip.js@0.21.2 esbuild@0.28.2 \
        axe-core@4.14.1 >&2
fi
