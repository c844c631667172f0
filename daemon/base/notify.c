// SPDX-License-Identifier: Apache-2.0
#include "base/notify.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	cleanup(util_closep) int fd = -1;
	size_t len;

	if (!path || (*path != '/' && *path != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, len);
	if (*path == '@')
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nobody listening is not our trouble. */
	(void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		      (struct sockaddr *)&addr,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

int64_t notify_watchdog_ns(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	const char *usec = getenv("WATCHDOG_USEC");
	uint64_t v;

	if (!usec || util_parse_u64(usec, &v) < 0 || v > INT64_MAX / 1000)
		return 0;
	if (pid && (util_parse_u64(pid, &v) < 0 || v != (uint64_t)getpid()))
		return 0;
	util_parse_u64(usec, &v);
	return (int64_t)v * 1000 / 2;
}
