/* SPDX-License-Identifier: GPL-2.0 */
/* What the DMA-BUF heap tests share, all of it */
#ifndef HEAP_HELPERS_H
#define HEAP_HELPERS_H

#include "heap_buf.h"
#include "heap_device.h"
#include "heap_file.h"
#include "heap_importer.h"
#include "heap_need.h"
#include "heap_pattern.h"
#include "heap_pool.h"
#include "heap_process.h"
#include "heap_vgem.h"

#endif /* HEAP_HELPERS_H */
