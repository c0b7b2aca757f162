/*
 * Filters of liblzma, by its public structs. Options are read member by member: what a filter
 * doesn't know, and the reserved ones, may hold anything.
 */
#include <errno.h>
#include <lzma.h>

#include "keys.h"

#define PUT(key, value) taskcache_put((key), &(value), sizeof(value))

const struct taskcache_host *keys_host;

static int fail(struct taskcache_error *error, const char *why)
{
    keys_host->cause(error, why);
    return -EINVAL;
}

static void put_lzma2(const lzma_options_lzma *o, struct taskcache_cursor *key)
{
    uint32_t dictionary = o->preset_dict != NULL ? o->preset_dict_size : 0;

    PUT(key, o->dict_size);
    PUT(key, dictionary);
    taskcache_put(key, o->preset_dict, dictionary);
    PUT(key, o->lc);
    PUT(key, o->lp);
    PUT(key, o->pb);
    PUT(key, o->mode);
    PUT(key, o->nice_len);
    PUT(key, o->mf);
    PUT(key, o->depth);
}

static int put_filter(const lzma_filter *f, struct taskcache_cursor *key,
                      struct taskcache_error *error)
{
    uint32_t start_offset = 0;

    PUT(key, f->id);
    switch (f->id) {
    case LZMA_FILTER_LZMA2:
        if (f->options == NULL)
            return fail(error, "LZMA2 without options");
        put_lzma2(f->options, key);
        return 0;
    case LZMA_FILTER_DELTA:
        if (f->options == NULL)
            return fail(error, "a delta filter without options");
        PUT(key, ((const lzma_options_delta *)f->options)->type);
        PUT(key, ((const lzma_options_delta *)f->options)->dist);
        return 0;
    case LZMA_FILTER_X86:
    case LZMA_FILTER_POWERPC:
    case LZMA_FILTER_IA64:
    case LZMA_FILTER_ARM:
    case LZMA_FILTER_ARMTHUMB:
    case LZMA_FILTER_SPARC:
#ifdef LZMA_FILTER_ARM64
    case LZMA_FILTER_ARM64:
#endif
        if (f->options != NULL)
            start_offset = ((const lzma_options_bcj *)f->options)->start_offset;
        PUT(key, start_offset);
        return 0;
    default:
        return fail(error, "a filter that isn't known");
    }
}

int lzma_filters(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                 struct taskcache_error *error)
{
    const struct taskcache_value *v = taskcache_value(call, "filters");
    const lzma_filter *f = v != NULL && v->kind == TASKCACHE_POINTER ? v->data : NULL;
    int r = 0;

    (void)data;
    if (f == NULL)
        return fail(error, "no filters");
    for (int i = 0; r == 0 && f[i].id != LZMA_VLI_UNKNOWN; i++) {
        if (i == LZMA_FILTERS_MAX)
            return fail(error, "too many filters");
        r = put_filter(&f[i], key, error);
    }
    return r;
}
