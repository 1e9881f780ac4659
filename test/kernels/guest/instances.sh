# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# To be sourced: skbpath in the background, any number of times. Each has a name
# and leaves NAME.json, NAME.log and NAME.exit in $OUT.

# Network namespaces made from now on send nothing by themselves: devices have no
# link-local addresses, for which they would look for routers. The kernel does that from
# timers, in interrupts, where a tracer misses most; nobody asks for it here.
echo 1 >/proc/sys/net/core/devconf_inherit_init_net
echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode

# start NAME ARGUMENT…
start() {
	name=$1
	shift
	skbpath --print=json --web.listen-address=127.0.0.1:0 --ready-file="/run/$name.ready" "$@" \
		>"$OUT/$name.json" 2>"$OUT/$name.log" &
	echo $! >"/run/$name.pid"
}

# ready NAME…: returns once all are attached.
ready() {
	for name; do
		await 600 test -e "/run/$name.ready" || {
			cat "$OUT/$name.log"
			return 1
		}
	done
}

# metrics NAME: prints its metrics.
metrics() {
	wget -q -O - "$(sed -n 's/.*metrics=\(http[^ ]*\).*/\1/p' "$OUT/$1.log")"
}

# stop NAME…: asks all to end, then waits for each.
stop() {
	for name; do kill -TERM "$(cat "/run/$name.pid")"; done
	for name; do
		status=0
		wait "$(cat "/run/$name.pid")" || status=$?
		echo "$status" >"$OUT/$name.exit"
	done
}

# drained NAMESPACE: returns once no datagram waits in a socket there.
drained() {
	await 60 ip netns exec "$1" sh -c "ss -lunH | awk '{ waiting += \$2 } END { exit waiting > 0 }'"
}
