/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets. Failures are logged with what can be done about them. */
#ifndef KSTRATA_SERVE_LISTEN_H
#define KSTRATA_SERVE_LISTEN_H

#include "base/util.h"

/* Both: the descriptor, or -EADDRINUSE, -errno. host is a numeric address. */
int listen_tcp(const char *host, uint16_t port);
/*
 * Makes the directory if need be (mode 0755), the socket with mode 0660. A
 * socket that nobody answers on is replaced.
 */
int listen_unix(const char *path);

#endif
