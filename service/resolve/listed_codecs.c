#include "service/resolve/listed_codecs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* NAME, or PLUGIN.NAME. */
static int is_meant(const struct tc_flat *f, const struct tc_task_function *fn, const char *name)
{
    const char *dot = strrchr(name, '.'), *plugin = tc_flat_str(f, fn->plugin);

    if (dot == NULL)
        return strcmp(tc_flat_str(f, fn->name), name) == 0;
    return strcmp(tc_flat_str(f, fn->name), dot + 1) == 0 &&
           strlen(plugin) == (size_t)(dot - name) &&
           memcmp(plugin, name, (size_t)(dot - name)) == 0;
}

int tc_listed_codec(void *ctx, const char *name, int is_input, struct tc_proto_codec *ret,
                    struct tc_text_error *e)
{
    struct tc_listed_codecs *c = ctx;
    const struct tc_task_function *fn =
        tc_flat_at(c->flat, c->task->functions.off, c->task->functions.count, sizeof *fn);
    const char *plugin, *own;
    uint32_t i = 0, count = fn != NULL ? c->task->functions.count : 0;

    while (i < count && (fn[i].kind != TC_FUNCTION_CODEC || !is_meant(c->flat, &fn[i], name)))
        i++;
    if (i == count)
        return tc_text_fail(e, TC_R_NO_SUCH_FUNCTION, 0, "list its plugin under `plugins:`",
                            "no listed plugin registers a codec '%.80s', or several do", name);
    plugin = tc_flat_str(c->flat, fn[i].plugin);
    own = tc_flat_str(c->flat, fn[i].name);
    if ((fn[i].can & (is_input ? TC_CODEC_READ : TC_CODEC_MAKE)) == 0)
        return tc_text_fail(e, TC_R_NO_SUCH_FUNCTION, 0, "",
                            "codec '%.60s' of plugin '%.60s' can't be used for an %s: it has no %s",
                            own, plugin, is_input ? "input" : "output",
                            is_input ? "digest()" : "encode() and decode()");
    (void)snprintf(c->full, sizeof c->full, "%.256s.%.256s", plugin, own);
    *ret = (struct tc_proto_codec){c->full, i + 1};
    return 0;
}
