/*
 * One-shot compressors: a buffer in, a buffer out, by what stands in the arguments. Those that work
 * in steps keep their state between calls and aren't here.
 *
 * A compressor that runs out of room says so in its result and leaves something of no value behind
 * in the buffer. Where that is an ordinary answer (mksquashfs then keeps the block as it is), it is
 * kept, too, with an output of no bytes.
 *
 * Plain names like `compress` belong to anybody: they count in the libraries that are known by
 * them.
 */
#include <taskcache/plugin.h>

#include "keys.h"

#define ZLIB   "@libz.so*"
#define ZSTD   "@libzstd.so*"
#define BZIP2  "@libbz2.so*"
#define LZMA   "@liblzma.so*"
#define LZ4    "@liblz4.so*"
#define LZO    "@liblzo2.so*"
#define BROTLI "@libbrotlienc.so*"

static const struct taskcache_task tasks[] = {
    TASKCACHE_TASK(.symbol = "compress2" ZLIB,
                   .prototype =
                       "int compress2(out void dest[*dest_len <= old(*dest_len)],\n"
                       "    inout unsigned long *dest_len, const void source[source_len],\n"
                       "    unsigned long source_len, int level)",
                   .success = "return == 0"),
    TASKCACHE_TASK(.symbol = "compress" ZLIB,
                   .prototype =
                       "int compress(out void dest[*dest_len <= old(*dest_len)],\n"
                       "    inout unsigned long *dest_len, const void source[source_len],\n"
                       "    unsigned long source_len)",
                   .success = "return == 0"),

    /* A negative result is an error; -70 (ZSTD_error_dstSize_tooSmall) that it didn't fit. Contexts
     * of ZSTD_compressCCtx() are memory to work in: it goes by the level alone. */
    TASKCACHE_TASK(.symbol = "ZSTD_compress" ZSTD,
                   .prototype =
                       "size_t ZSTD_compress(\n"
                       "    out void dst[return > 0 ? return : 0 <= dst_capacity],\n"
                       "    size_t dst_capacity, const void src[src_size], size_t src_size,\n"
                       "    int level)",
                   .success = "return >= 0 || return == -70"),
    TASKCACHE_TASK(.symbol = "ZSTD_compressCCtx" ZSTD,
                   .prototype =
                       "size_t ZSTD_compressCCtx(ignore void *cctx,\n"
                       "    out void dst[return > 0 ? return : 0 <= dst_capacity],\n"
                       "    size_t dst_capacity, const void src[src_size], size_t src_size,\n"
                       "    int level)",
                   .success = "return >= 0 || return == -70"),
    TASKCACHE_TASK(.symbol = "ZSTD_compress2" ZSTD,
                   .prototype =
                       "size_t ZSTD_compress2(ignore void *cctx,\n"
                       "    out void dst[return > 0 ? return : 0 <= dst_capacity],\n"
                       "    size_t dst_capacity, const void src[src_size], size_t src_size)",
                   .cache_policy = "INPUTS + TASK_SOURCE_DEEP + KEY(compress.zstd_parameters)",
                   .success = "return >= 0 || return == -70"),

    /* It prints if it is told to. */
    TASKCACHE_TASK(.symbol = "BZ2_bzBuffToBuffCompress" BZIP2,
                   .prototype = "int BZ2_bzBuffToBuffCompress(\n"
                                "    out char dest[*dest_len <= old(*dest_len)],\n"
                                "    inout unsigned int *dest_len, in char source[source_len],\n"
                                "    unsigned int source_len, int block_size, int verbosity,\n"
                                "    int work_factor)",
                   .skip = "verbosity > 0", .success = "return == 0"),

    /* They append at dst_pos, which is 0 for all who don't put something in front. 10
     * (LZMA_BUF_ERROR): it didn't fit, and dst_pos is as it was. */
    TASKCACHE_TASK(.symbol = "lzma_easy_buffer_encode" LZMA,
                   .prototype = "int lzma_easy_buffer_encode(uint32_t preset, int check,\n"
                                "    ignore const void *allocator, const uint8_t src[src_size],\n"
                                "    size_t src_size, out uint8_t dst[*dst_pos <= dst_size],\n"
                                "    inout size_t *dst_pos, size_t dst_size)",
                   .skip = "dst_pos == NULL || *dst_pos != 0",
                   .success = "return == 0 || return == 10"),
    TASKCACHE_TASK(.symbol = "lzma_stream_buffer_encode" LZMA,
                   .prototype = "int lzma_stream_buffer_encode(ignore void *filters, int check,\n"
                                "    ignore const void *allocator, const uint8_t src[src_size],\n"
                                "    size_t src_size, out uint8_t dst[*dst_pos <= dst_size],\n"
                                "    inout size_t *dst_pos, size_t dst_size)",
                   .cache_policy = "INPUTS + TASK_SOURCE_DEEP + KEY(compress.lzma_filters)",
                   .skip = "filters == NULL || dst_pos == NULL || *dst_pos != 0",
                   .success = "return == 0 || return == 10"),

    /* 0: it didn't fit. */
    TASKCACHE_TASK(.symbol = "LZ4_compress_default" LZ4,
                   .prototype = "int LZ4_compress_default(const char src[src_size],\n"
                                "    out char dst[return <= dst_capacity], int src_size,\n"
                                "    int dst_capacity)",
                   .success = "return >= 0"),
    TASKCACHE_TASK(.symbol = "LZ4_compress_HC" LZ4,
                   .prototype = "int LZ4_compress_HC(const char src[src_size],\n"
                                "    out char dst[return <= dst_capacity], int src_size,\n"
                                "    int dst_capacity, int level)",
                   .success = "return >= 0"),

    /* It isn't told how much room there is: callers give it what LZO's documentation asks for. A
     * callback is told of the progress. */
    TASKCACHE_TASK(.symbol = "lzo1x_999_compress_level" LZO,
                   .prototype = "int lzo1x_999_compress_level(const uint8_t src[src_len],\n"
                                "    unsigned long src_len,\n"
                                "    out uint8_t dst[*dst_len <= src_len + src_len / 16 + 67],\n"
                                "    out unsigned long *dst_len, ignore void *wrkmem,\n"
                                "    const uint8_t dict[dict_len], unsigned long dict_len,\n"
                                "    ignore void *callback, int level)",
                   .skip = "callback != NULL", .success = "return == 0"),

    TASKCACHE_TASK(.symbol = "BrotliEncoderCompress" BROTLI,
                   .prototype = "int BrotliEncoderCompress(int quality, int lgwin, int mode,\n"
                                "    size_t input_size, const uint8_t input[input_size],\n"
                                "    inout size_t *encoded_size,\n"
                                "    out uint8_t encoded[*encoded_size <= old(*encoded_size)])",
                   .success = "return == 1"),
};

static int init(const struct taskcache_host *host, struct taskcache_error *error)
{
    static const struct taskcache_key_function filters = {
        .struct_size = sizeof filters, .name = "lzma_filters", .compute = lzma_filters};
    static const struct taskcache_key_function parameters = {
        .struct_size = sizeof parameters, .name = "zstd_parameters", .compute = zstd_parameters};
    int r = host->add_key_function(host, &filters);

    (void)error;
    keys_host = host;
    return r < 0 ? r : host->add_key_function(host, &parameters);
}

TASKCACHE_PLUGIN_WITH_CODE("compress", "1.0", "MIT", "One-shot compressors", tasks,
                           TASKCACHE_THREAD_SAFE | TASKCACHE_FORK_SAFE, init);
