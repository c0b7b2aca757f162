/*
 * Flat files: position-independent tables that are mapped and read in place, by the service, by
 * cachectl and inside the target, where nothing may be parsed or allocated. Compiled configs and
 * plans are flat files.
 *
 * Every reference is a byte offset from the start of the file. tc_flat_check() verifies the frame
 * (magic, kind, version, size, checksum) once; whoever follows a reference uses tc_flat_at() or
 * tc_flat_str(), which check bounds and alignment, so that a file which was forged behind a right
 * checksum can't lead a reader outside of it.
 *
 * Freestanding; any thread, any signal context. The mapping belongs to the caller.
 */
#ifndef TC_CACHE_FLAT_H
#define TC_CACHE_FLAT_H

#include <stddef.h>
#include <stdint.h>

#define TC_FLAT_MAGIC   0x54414c4643540a1aull /* bytes 1a 0a "TCFLAT" */
#define TC_FLAT_VERSION 29u

enum tc_flat_kind {
    TC_FLAT_CONFIG = 1, /* root: struct tc_config (cache/task.h) */
    TC_FLAT_PLANS = 2,  /* root: struct tc_plans (cache/plan.h) */
};

/* The first bytes of every flat file; the root table follows directly behind. */
struct tc_flat_header {
    uint64_t magic;
    uint32_t version;
    uint32_t kind;
    uint64_t bytes;    /* of the whole file */
    uint64_t checksum; /* XXH3-64, seed 0, of everything behind this header */
};

/* A string: bytes at `off`, followed by a NUL that `bytes` doesn't count. {0, 0} is "not given". */
struct tc_str {
    uint32_t off;
    uint32_t bytes;
};

/* An array of `count` entries of a size that the field's comment names. */
struct tc_span {
    uint32_t off;
    uint32_t count;
};

struct tc_flat {
    const unsigned char *base;
    size_t bytes;
};

/* 0, or -EBADMSG (damaged), -EPROTONOSUPPORT (another version or kind). */
int tc_flat_check(const void *base, size_t bytes, enum tc_flat_kind kind, struct tc_flat *ret);

/* The root table of a checked file, NULL if the file is shorter than `root_bytes` needs. */
const void *tc_flat_root(const struct tc_flat *f, size_t root_bytes);

/* `count` entries of `entry_bytes` at offset `off`, 8-byte aligned; NULL if they don't lie inside
 * the file. A count of 0 gives a pointer that must not be read. */
const void *tc_flat_at(const struct tc_flat *f, uint32_t off, uint32_t count, size_t entry_bytes);

/* The string, NUL-terminated; "" if it isn't given or lies outside the file. */
const char *tc_flat_str(const struct tc_flat *f, struct tc_str s);

#endif
