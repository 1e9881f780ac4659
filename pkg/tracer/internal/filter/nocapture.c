// SPDX-License-Identifier: Apache-2.0

// Stand-ins for the capture half of libpcap.
//
// This package only compiles expressions, but pcap.o of the static archive
// refers to every capture back end, and those pull in D-Bus, netlink, RDMA,
// Bluetooth and USB. A static link takes a member out of the archive only for a
// symbol that is still undefined, so defining the back ends here keeps them and
// their libraries out of the binary.
//
// The symbols are weak: should a libpcap hold one of them in a member that is
// needed anyway, its own definition wins and there is no clash. Every stand-in
// that can report an error does, so that capture can never look as if it worked.

#include <stddef.h>
#include <stdio.h>

#include <pcap/pcap.h>

static int refuse(char *errbuf)
{
	snprintf(errbuf, PCAP_ERRBUF_SIZE, "capture is not built in");
	return PCAP_ERROR;
}

// A back end lists its devices and, asked to open one, says whether it is its
// own. None is, so pcap_create() falls through to the platform's refusal.
#define NO_BACKEND(name)                                                       \
	__attribute__((weak)) int name##_findalldevs(void *devices, char *errbuf) \
	{                                                                      \
		(void)devices;                                                 \
		return refuse(errbuf);                                         \
	}                                                                      \
	__attribute__((weak)) pcap_t *name##_create(const char *device,         \
						    char *errbuf, int *is_ours) \
	{                                                                      \
		(void)device;                                                  \
		(void)errbuf;                                                  \
		*is_ours = 0;                                                  \
		return NULL;                                                   \
	}

NO_BACKEND(bt)
NO_BACKEND(bt_monitor)
NO_BACKEND(dbus)
NO_BACKEND(netfilter)
NO_BACKEND(pcap_dpdk)
NO_BACKEND(pcap_netmap)
NO_BACKEND(rdmasniff)
NO_BACKEND(usb)

// The platform itself: pcap_ up to libpcap 1.10.4, pcapint_ from 1.10.5 on.
#define NO_PLATFORM(prefix)                                                     \
	__attribute__((weak)) int prefix##_platform_finddevs(void *devices,      \
							     char *errbuf)      \
	{                                                                       \
		(void)devices;                                                  \
		return refuse(errbuf);                                          \
	}                                                                       \
	__attribute__((weak)) pcap_t *prefix##_create_interface(                \
		const char *device, char *errbuf)                               \
	{                                                                       \
		(void)device;                                                   \
		refuse(errbuf);                                                 \
		return NULL;                                                    \
	}

NO_PLATFORM(pcap)
NO_PLATFORM(pcapint)
