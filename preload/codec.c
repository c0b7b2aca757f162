#include "preload/codec.h"

#include <string.h>

#include "preload/owned.h"
#include "preload/plugin.h"
#include "preload/values.h"

/* A codec that is ready to be called: this thread is in its plugin. */
struct codec {
    struct tc_loaded_plugin *plugin;
    const struct taskcache_codec *methods;
    const char *name;
};

static uint64_t address(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static uint32_t begin(struct tc_context *x, struct tc_call *c, const struct tc_param *p,
                      struct codec *ret)
{
    const struct tc_task_function *f = &c->hook->functions[p->codec - 1];
    uint32_t r = tc_plugin_begin(x, c, tc_task_str(c->hook, f->plugin), &ret->plugin);

    if (r != 0)
        return r;
    ret->name = tc_task_str(c->hook, f->name);
    ret->methods = tc_plugin_codec(&ret->plugin->table, ret->name);
    /* Keys hold the version that the service saw. */
    if (ret->methods == NULL || ret->methods->data_version != f->data_version)
        r = TC_R_PLUGIN_UNAVAILABLE;
    if (r == 0)
        r = tc_values_of(c, x->plugin_area->values, &x->plugin_area->call);
    if (r != 0)
        tc_plugin_end(ret->plugin);
    return r;
}

uint32_t tc_codec_digest(struct tc_context *x, struct tc_call *c, const struct tc_param *p,
                         uint64_t object, struct tc_codec_content *ret)
{
    struct taskcache_digest *digest;
    struct tc_host_call call;
    struct codec codec;
    uint32_t r = begin(x, c, p, &codec);

    if (r != 0)
        return r;
    digest = &x->plugin_area->digest;
    *digest = (struct taskcache_digest){&x->hash, 0};
    tc_hash_begin(&x->hash, c->seed);
    call = (struct tc_host_call){.function = (uint64_t)(uintptr_t)codec.methods->digest,
                                 .argument = {address(codec.methods->data),
                                              address(&x->plugin_area->call), object,
                                              address(digest), address(&x->plugin_area->error)}};
    r = codec.methods->digest != NULL ? tc_plugin_call(x, c, codec.plugin, codec.name, &call)
                                      : TC_R_PLUGIN_UNAVAILABLE;
    tc_plugin_end(codec.plugin);
    digest->state = NULL;
    *ret = (struct tc_codec_content){digest->bytes, tc_hash_end128(&x->hash)};
    return r;
}

/* Bytes of its own for each output: the area's are the next one's. */
static uint32_t keep(struct tc_call *c, uint32_t i, struct tc_filled *f)
{
    if (f->map == NULL && f->count != 0) {
        f->map_bytes = f->count;
        f->map = tc_sys_mmap(NULL, f->map_bytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if (f->map == NULL)
            return TC_R_NO_MEMORY;
        memcpy(f->map, f->bytes, f->count);
    }
    c->block[i] = address(f->map);
    c->encoded_bytes[i] = f->map_bytes;
    c->out[i].piece_bytes = f->count;
    return 0;
}

uint32_t tc_codec_encode(struct tc_context *x, struct tc_call *c, uint32_t i)
{
    const struct tc_extent *e = &c->out[i];
    const struct tc_param *p = tc_output_param(c, e);
    uint64_t object = e->param == UINT32_MAX ? c->result : c->arg[e->param];
    struct tc_filled filled;
    struct tc_host_call call;
    struct codec codec;
    uint32_t r = begin(x, c, p, &codec);

    if (r != 0)
        return r;
    call = (struct tc_host_call){.function = (uint64_t)(uintptr_t)codec.methods->encode,
                                 .argument = {address(codec.methods->data),
                                              address(&x->plugin_area->call), object, 0,
                                              address(&x->plugin_area->error)}};
    r = codec.methods->encode != NULL
            ? tc_plugin_fill(x, c, codec.plugin, codec.name, &call, 3,
                             tc_page_of(c->storage)->max_size_bytes / 4, &filled)
            : TC_R_PLUGIN_UNAVAILABLE;
    tc_plugin_end(codec.plugin);
    return r != 0 ? r : keep(c, i, &filled);
}

void tc_codec_forget(struct tc_call *c)
{
    for (uint32_t i = 0; i < c->out_count; i++) {
        if (c->encoded_bytes[i] != 0)
            tc_sys_munmap((void *)(uintptr_t)c->block[i], c->encoded_bytes[i]);
        c->encoded_bytes[i] = 0;
    }
}

static uint32_t decode_one(struct tc_context *x, struct tc_call *c, uint32_t i,
                           const unsigned char *bytes)
{
    const struct tc_extent *e = &c->out[i];
    uint64_t object = e->param == UINT32_MAX ? 0 : c->arg[e->param];
    void *place = (void *)(uintptr_t)object;
    struct tc_host_call call;
    struct codec codec;
    uint32_t r = begin(x, c, tc_output_param(c, e), &codec);

    if (r != 0)
        return r;
    call = (struct tc_host_call){
        .function = (uint64_t)(uintptr_t)codec.methods->decode,
        .argument = {address(codec.methods->data), address(&x->plugin_area->call), address(bytes),
                     e->piece_bytes, address(&place), address(&x->plugin_area->error)}};
    r = codec.methods->decode != NULL ? tc_plugin_call(x, c, codec.plugin, codec.name, &call)
                                      : TC_R_PLUGIN_UNAVAILABLE;
    if (r == 0 && place == NULL)
        r = tc_plugin_complain(x, c, codec.plugin, codec.name, "decoded nothing");
    tc_plugin_end(codec.plugin);
    c->block[i] = address(place);
    return r;
}

uint32_t tc_codec_decode(struct tc_context *x, struct tc_call *c, const unsigned char *outputs)
{
    uint64_t at = 0;
    uint32_t r = 0;

    for (uint32_t i = 0; r == 0 && i < c->out_count; i++) {
        const struct tc_extent *e = &c->out[i];
        const struct tc_param *p = tc_output_param(c, e);
        if (p != NULL && p->shape == TC_SHAPE_CODEC &&
            !(e->flags & (TC_EXTENT_NULL | TC_EXTENT_NO_BLOCK)))
            r = decode_one(x, c, i, outputs + at);
        at += e->pieces * e->piece_bytes;
    }
    return r;
}
