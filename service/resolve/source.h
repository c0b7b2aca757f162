/*
 * TASK_SOURCE: the digest of what a function's machine code means. The plan carries the algorithm
 * beside the digest, so that another rule never meets records of this one.
 *
 * The interim rule (TC_SOURCE_INTERIM): the bytes of all pieces of the function and the digest of
 * the whole file. Any change of the file is a miss, none is a false hit. Pure; host code.
 */
#ifndef TC_SERVICE_RESOLVE_SOURCE_H
#define TC_SERVICE_RESOLVE_SOURCE_H

#include "cache/hash.h"
#include "service/resolve/elf_function.h"

/* The digest of the whole file: once an object. */
struct tc_hash128 tc_source_file(const struct tc_image *im);

/* For a found function (its `reason` is 0). */
void tc_source_interim(const struct tc_image *im, const struct tc_function *f,
                       struct tc_hash128 file, uint8_t ret[16]);

#endif
