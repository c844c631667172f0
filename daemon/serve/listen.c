// SPDX-License-Identifier: Apache-2.0
#include "serve/listen.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

int listen_tcp(const char *host, uint16_t port)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	struct addrinfo *ai;
	char service[8];
	int fd, r, one = 1;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host, service, &hints, &ai);
	if (r) {
		log_error("http: %s: %s", host, gai_strerror(r));
		return -EINVAL;
	}
	fd = socket(ai->ai_family,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd < 0 ? -errno : 0;
	if (!r) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
		    listen(fd, BACKLOG) < 0)
			r = -errno;
	}
	freeaddrinfo(ai);
	if (!r)
		return fd;
	if (r == -EADDRINUSE)
		log_error("http: %s:%u is in use: another kstratad or program listens there; choose another with --http ADDR:PORT",
			  host, port);
	else
		log_error("http: cannot listen on %s:%u: %s", host, port,
			  strerror(-r));
	util_closep(&fd);
	return r;
}

static int make_dir_of(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return 0;
	if ((size_t)(slash - path) >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	return util_mkdirs(dir, 0755);
}

/* Is somebody behind it? Only a refusal says that nobody is. */
static bool answers(const struct sockaddr_un *addr)
{
	cleanup(util_closep) int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ||
	       connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 ||
	       (errno != ECONNREFUSED && errno != ENOENT);
}

int listen_unix(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		log_error("socket: %s: longer than %zu bytes", path,
			  sizeof(addr.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	r = make_dir_of(path);
	if (r < 0)
		goto complain;
	if (lstat(path, &st) == 0) {
		r = -EADDRINUSE;
		if (!S_ISSOCK(st.st_mode) || answers(&addr))
			goto complain;
		unlink(path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		r = -errno;
		goto complain;
	}
	mask = umask(0117);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (!r && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (!r)
		return fd;
	close(fd);
complain:
	if (r == -EADDRINUSE)
		log_error("socket: %s is in use: another kstratad runs? Choose another with --socket PATH",
			  path);
	else
		log_error("socket: cannot listen on %s: %s", path,
			  strerror(-r));
	return r;
}
