/* SPDX-License-Identifier: Apache-2.0 */
/* The service manager's socket (sd_notify(3)), without its library. */
#ifndef KSTRATA_BASE_NOTIFY_H
#define KSTRATA_BASE_NOTIFY_H

#include "base/util.h"

/* "READY=1", "STATUS=...", ...; nothing happens where $NOTIFY_SOCKET is not set. */
void notify_send(const char *state);
/* Half of $WATCHDOG_USEC in ns: how often to send "WATCHDOG=1"; 0: never. */
int64_t notify_watchdog_ns(void);

#endif
