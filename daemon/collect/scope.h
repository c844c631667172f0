/* SPDX-License-Identifier: Apache-2.0 */
/* Whom and where to sample, out of the configuration's words. */
#ifndef KSTRATA_COLLECT_SCOPE_H
#define KSTRATA_COLLECT_SCOPE_H

#include "base/config.h"
#include "collect/device.h"

/*
 * config was checked (config_parse()). A cgroup that is not there is logged;
 * -errno.
 */
int scope_make(struct device_scope *out, const struct config *config);
/* There is nothing to tell a device that was set up just now. */
bool scope_is_all(const struct device_scope *s);
bool scope_equal(const struct device_scope *a, const struct device_scope *b);

#endif
