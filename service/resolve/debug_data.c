/* Packed symbol tables and checksums of debug files. */
#include <errno.h>
#include <lzma.h>
#include <stdlib.h>

#include "service/resolve/debug_file.h"

#define MAX_UNPACKED (256u << 20)
#define MAX_LZMA     (128u << 20) /* of its own memory; the usual dictionaries take 9 to 65 MiB */

uint32_t tc_debug_crc32(const void *data, size_t bytes)
{
    return lzma_crc32(data, bytes, 0);
}

static int run(lzma_stream *s, void **ret, size_t *ret_bytes)
{
    unsigned char *out = NULL;
    size_t allocated = 0;
    lzma_ret r = LZMA_OK;

    while (r == LZMA_OK && allocated < MAX_UNPACKED) {
        size_t more = allocated != 0 ? allocated : 1u << 16;
        unsigned char *grown = realloc(out, allocated + more);
        if (grown == NULL) {
            free(out);
            return -ENOMEM;
        }
        out = grown;
        s->next_out = out + allocated;
        s->avail_out = more;
        allocated += more;
        while (r == LZMA_OK && s->avail_out != 0)
            r = lzma_code(s, LZMA_FINISH);
    }
    if (r != LZMA_STREAM_END) {
        free(out);
        return r == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
    }
    *ret = out;
    *ret_bytes = s->total_out;
    return 0;
}

int tc_debug_unpack(const void *packed, size_t bytes, void **ret, size_t *ret_bytes)
{
    lzma_stream s = LZMA_STREAM_INIT;
    int r;

    s.next_in = packed;
    s.avail_in = bytes;
    if (lzma_stream_decoder(&s, MAX_LZMA, 0) != LZMA_OK)
        return -ENOMEM;
    r = run(&s, ret, ret_bytes);
    lzma_end(&s);
    return r;
}
