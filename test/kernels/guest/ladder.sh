# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# ladder.sh SCENARIO…: one skbpath follows every packet while the scenarios run,
# one after the other.
# shellcheck source=/dev/null
. /guest/instances.sh

cat /sys/kernel/tracing/enabled_functions >"$OUT/enabled-before"
begin=$(clock)
start all --probe.kmods=bridge --probe.kmods=veth --probe.kmods=sch_netem
ready all
echo "attached in $((($(clock) - begin) / 1000000)) ms"

for scenario; do
	begin=$(clock)
	status=0
	OUT=$OUT/$scenario sh -eu "/scenario/$scenario.sh" >"$OUT/$scenario.out" 2>&1 || status=$?
	echo "$status" >"$OUT/$scenario.status"
	echo "$scenario: status $status in $((($(clock) - begin) / 1000000)) ms"
done

# Journeys are printed in the order of their ends: when this one's is there, so
# are those of all packets that ended before.
ping -n -c 1 -W 10 127.9.9.9
await 60 sh -c "tail -n 50 '$OUT/all.json' | grep -q 127.9.9.9"
metrics all >"$OUT/metrics"

begin=$(clock)
stop all
echo "stopped in $((($(clock) - begin) / 1000000)) ms"
# The kernel's own threads detach; who waits in vain finds what is left.
await 60 sh -c "test \"\$(cat /sys/kernel/tracing/enabled_functions)\" = \"\$(cat '$OUT/enabled-before')\"" || :
echo "detached in $((($(clock) - begin) / 1000000)) ms"
cat /sys/kernel/tracing/enabled_functions >"$OUT/enabled-after"
