#include "preload/key_function.h"

#include <string.h>

#include "preload/capture.h"
#include "preload/plugin.h"
#include "preload/values.h"

#define MAX_KEY_BYTES (1u << 20)

_Static_assert(TC_MAX_KEY_FUNCTIONS *TC_KEY_TEXT <= TC_MATERIAL_BYTES,
               "what they give lies in x->check");

/* As it is while it is short; else its digest. */
static struct tc_key_text keep(struct tc_context *x, uint32_t place, const struct tc_filled *f)
{
    unsigned char *to = x->check + place * TC_KEY_TEXT;
    struct tc_hash128 digest;

    if (f->count <= TC_KEY_TEXT) {
        memcpy(to, f->bytes, f->count);
        return (struct tc_key_text){to, (uint32_t)f->count, TC_TAG_STRING};
    }
    tc_hash_begin(&x->hash, x->call.seed);
    tc_hash_add(&x->hash, f->bytes, f->count);
    digest = tc_hash_end128(&x->hash);
    memcpy(to, &digest, sizeof digest);
    return (struct tc_key_text){to, sizeof digest, TC_TAG_BYTES};
}

static uint32_t compute(struct tc_context *x, struct tc_call *c, struct tc_loaded_plugin *p,
                        const char *name, struct tc_filled *ret)
{
    const struct taskcache_key_function *f = tc_plugin_key(&p->table, name);
    struct tc_plugin_area *a = x->plugin_area;
    struct tc_host_call call;
    uint32_t r;

    if (f == NULL)
        return TC_R_PLUGIN_UNAVAILABLE;
    r = tc_values_of(c, a->values, &a->call);
    if (r != 0)
        return r;
    call = (struct tc_host_call){.function = (uint64_t)(uintptr_t)f->compute,
                                 .argument = {(uint64_t)(uintptr_t)f->data,
                                              (uint64_t)(uintptr_t)&a->call, 0,
                                              (uint64_t)(uintptr_t)&a->error}};
    return tc_plugin_fill(x, c, p, name, &call, 2, MAX_KEY_BYTES, ret);
}

static uint32_t one(struct tc_context *x, struct tc_call *c, const struct tc_task_function *fn,
                    struct tc_key_member *ret, uint32_t *count)
{
    struct tc_loaded_plugin *p = NULL;
    struct tc_filled filled;
    uint32_t r = tc_plugin_begin(x, c, tc_task_str(c->hook, fn->plugin), &p);

    if (r != 0)
        return r;
    r = compute(x, c, p, tc_task_str(c->hook, fn->name), &filled);
    tc_plugin_end(p);
    if (r != 0)
        return r;
    if (filled.count > 0) {
        ret[*count] = (struct tc_key_member){tc_task_str(c->hook, fn->component),
                                             fn->component.bytes, keep(x, *count, &filled)};
        ++*count;
    }
    tc_plugin_filled_free(&filled);
    return 0;
}

uint32_t tc_key_functions(struct tc_context *x, struct tc_call *c,
                          struct tc_key_member ret[TC_MAX_KEY_FUNCTIONS], uint32_t *ret_count)
{
    const struct tc_hook *h = c->hook;
    const struct tc_task_function *f = h->functions;
    uint32_t r = 0;

    *ret_count = 0;
    for (uint32_t i = 0; r == 0 && i < h->task->functions.count && f[i].kind == TC_FUNCTION_KEY;
         i++)
        r = one(x, c, &f[i], ret, ret_count);
    return r;
}
