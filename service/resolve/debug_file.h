/*
 * What a stripped object left elsewhere: its debug file, found by build-id below tc_debug_root or
 * by .gnu_debuglink (beside the object, in .debug/, below tc_debug_root; the checksum must be
 * right), and the few symbols packed into .gnu_debugdata. Nothing is ever fetched: libdwfl's own
 * look-up isn't used, as it loads debuginfod's client.
 *
 * Fails with -ENOMEM only; what isn't there, or is another file's, isn't there. Host code (the
 * service's child processes); one thread.
 */
#ifndef TC_SERVICE_RESOLVE_DEBUG_FILE_H
#define TC_SERVICE_RESOLVE_DEBUG_FILE_H

#include "service/resolve/elf_file.h"

struct tc_debug {
    struct tc_elf *file; /* sections only; NULL: none */
    struct tc_elf *mini; /* .gnu_debugdata, unpacked; NULL: none */
    void *mini_data;
    /* Where files were looked for, and what was there: all 0 is nothing. The last one is `file`, if
     * there is one. */
    struct {
        char *path;
        struct tc_file_id id;
    } looked[TC_MAX_DEBUG_FILES];
    uint32_t looked_count;
};

/* "/usr/lib/debug"; tests set another one. */
extern const char *tc_debug_root;

/* `path` is the object's own; NULL: no file is looked for. Only what the object itself lacks is
 * opened. */
int tc_debug_open(const struct tc_elf *e, const char *path, struct tc_debug *ret);
void tc_debug_close(struct tc_debug *d);

/* Where the debug information is: `e`, its debug file, or NULL. */
const struct tc_elf *tc_debug_info(const struct tc_elf *e, const struct tc_debug *d);

/* debug_data.c */
/* .gnu_debugdata: an ELF file, packed by xz. 0, -ENOMEM, or -EBADMSG; free() the result. */
int tc_debug_unpack(const void *packed, size_t bytes, void **ret, size_t *ret_bytes);
/* The checksum of .gnu_debuglink, CRC-32 as in ISO 3309. */
uint32_t tc_debug_crc32(const void *data, size_t bytes);

#endif
