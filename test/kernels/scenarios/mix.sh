# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Some of everything, each kind with an address of its own.
in_a() { ip netns exec mix-a "$@"; }

in_a ping -n -c 1 -W 10 10.3.0.2
in_a ping -n -c 1 -W 10 10.3.0.3
in_a ping -n -c 1 -W 10 -t 33 10.3.0.4
in_a ping -n -c 1 -W 10 -m 7 10.3.0.6
in_a ping -n -c 1 -W 10 -s 1200 10.3.0.8
in_a ping -n -c 1 -W 10 -6 fd00:3::2
in_a ping -n -c 1 -W 10 10.3.5.2
# Nobody listens: these end with the error that comes back.
if echo nobody | in_a socat -t 10 - UDP:10.3.0.5:5353; then exit 1; fi
if echo nobody | in_a socat -t 10 - UDP:10.3.0.7:5354; then exit 1; fi
if echo nobody | in_a socat - TCP:10.3.0.9:8080; then exit 1; fi
in_a ping -n -c 1 -W 10 10.3.0.2
