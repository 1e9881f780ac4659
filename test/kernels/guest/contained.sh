# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# contained.sh CAPABILITIES DIRECTORIES ARGUMENT…: runs skbpath as a container
# engine would: namespaces and a root directory of its own, with nothing in it
# but the program, /proc, a read-only /sys, and these directories of the host
# read-only; and with these capabilities, e.g. "bpf perfmon".
set -eu
keep=$1
export SHARED="$2"
shift 2

bounding=$(capsh --decode="$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)")
drop=
for capability in $(echo "${bounding#*=}" | tr ',' ' '); do
	case " $keep " in
	*" ${capability#cap_} "*) ;;
	*) drop=$drop,$capability ;;
	esac
done
export DROP="${drop#,}"

# shellcheck disable=SC2016 # for the inner shell
exec unshare -m -n -p -i -u -f sh -euc '
	box=/run/box
	mkdir -p $box
	mount -t tmpfs box $box
	mkdir $box/proc $box/sys
	cp /usr/local/bin/skbpath $box/skbpath
	mount -t proc proc $box/proc
	mount -t sysfs -o ro sysfs $box/sys
	for directory in $SHARED; do
		mount -o bind "$directory" "$box$directory"
		mount -o remount,bind,ro "$box$directory"
	done
	mount -o remount,ro $box
	exec capsh --chroot=$box --no-new-privs --drop="$DROP" --shell=/skbpath -- "$@"
' sh "$@"
