#!/bin/sh
# Installs with apt-get what is missing of the packages to build offhook and to test it; nothing when all is
# there. Services that such a package brings are not started, and their ports stay free.
set -eu

build="g++ make pkg-config git libre-dev librem-dev libssl-dev libopus-dev libspeexdsp-dev libsndfile1-dev \
libasound2-dev libncurses-dev libspandsp-dev libusrsctp-dev libwebrtc-audio-processing-dev libcli11-dev libtomlplusplus-dev \
nlohmann-json3-dev libexpected-dev libexpat1-dev doctest-dev"
test="libsrtp2-dev python3 openssl baresip-core sip-tester kamailio kamailio-tls-modules kamailio-presence-modules \
kamailio-websocket-modules kamailio-outbound-modules coturn espeak-ng mandoc tcpdump tshark \
chromium chromium-driver firefox-esr baresip-ffmpeg rtpengine-daemon iproute2 iptables python3-websockets nginx-light"

bench="baresip-core libsofia-sip-ua-dev kamailio kamailio-tls-modules kamailio-websocket-modules rtpengine-daemon openssl"

case "${1:-all}" in
bench) wanted="$build python3 $bench" ;;
build) wanted=$build ;;
demo) wanted="$build python3 espeak-ng" ;;
all) wanted="$build $test" ;;
*) echo "usage: deps.sh [build|demo|bench|all]" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null || { echo "no dpkg here: install what docs/hacking.md lists by hand" >&2; exit 0; }
missing=
for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
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
    # shellcheck disable=SC2086
    set -- env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qy --no-install-recommends $missing
    $root "$@" >&2 || { $root apt-get update -q >&2 && $root "$@" >&2; }
}
[ -z "$missing" ] || install

# JavaScript for the browser tests, into build/js: JsSIP ships no bundle, esbuild makes one.
[ "${1:-all}" = all ] || exit 0
js=$(dirname "$0")/../build/js
if [ ! -e "$js/node_modules/jssip" ] || [ ! -e "$js/node_modules/sip.js" ] || [ ! -x "$js/node_modules/.bin/esbuild" ]; then
    command -v npm >/dev/null || { missing=" nodejs npm"; install; }
    mkdir -p "$js"
    npm install --silent --no-audit --no-fund --prefix "$js" jssip@3.13.8 sip.js@0.21.2 esbuild@0.28.2 >&2
fi
