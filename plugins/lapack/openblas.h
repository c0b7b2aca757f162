/*
 * KEY(lapack.openblas): by what OpenBLAS computes. It chooses its kernels by the processor (or
 * OPENBLAS_CORETYPE) and divides the work among its threads; both change the last bits of results.
 */
#ifndef PLUGINS_LAPACK_OPENBLAS_H
#define PLUGINS_LAPACK_OPENBLAS_H

#include <taskcache/plugin.h>

int openblas_register(const struct taskcache_host *host);

#endif
