/*
 * Files as inputs: the digest of what a path leads to. Digests of files that have been at rest for
 * ten minutes, on a disk's file system, are kept in the thread's context, by identity, size and
 * times; others are read each time.
 *
 * Opens a descriptor and closes it again. Uses the context's scratch memory and hash state: before
 * a component is begun. 0, or an enum tc_reason.
 */
#ifndef TC_PRELOAD_FILE_INPUT_H
#define TC_PRELOAD_FILE_INPUT_H

#include "preload/context.h"

/* Size and digest. `*ret_bytes` of them, 0: there is no such file. */
struct tc_file_content {
    uint64_t size;
    struct tc_hash128 digest;
};
uint32_t tc_file_input(struct tc_context *x, const char *path, struct tc_file_content *ret,
                       uint64_t *ret_bytes);

#endif
