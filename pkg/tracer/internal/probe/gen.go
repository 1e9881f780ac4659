// SPDX-License-Identifier: Apache-2.0

package probe

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64 -type record -type function_count -type loss -type entry_kind -type entry_layout -type record_flag -type keep -type outcome -type life -type function_flag -type bucket_layout packetPath ../../../../bpf/packet_path.bpf.c -- -O2 -Wall -Wextra -Werror -mcpu=v3 -I/usr/include/x86_64-linux-gnu
