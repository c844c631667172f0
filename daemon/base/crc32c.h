/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), as iSCSI, ext4 and btrfs have it. */
#ifndef KSTRATA_BASE_CRC32C_H
#define KSTRATA_BASE_CRC32C_H

#include "base/util.h"

/* crc32c(0, "123456789", 9) == 0xe3069283; chain by passing the last result. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
