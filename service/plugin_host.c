#include "service/plugin_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct tc_plugin_host *of(const struct taskcache_host *host)
{
    return (struct tc_plugin_host *)(uintptr_t)host;
}

static int add_key(const struct taskcache_host *host, const struct taskcache_key_function *f)
{
    return of(host)->init_is_over ? -EPERM : tc_plugin_add_key(&of(host)->table, f);
}

static int add_codec(const struct taskcache_host *host, const struct taskcache_codec *c)
{
    return of(host)->init_is_over ? -EPERM : tc_plugin_add_codec(&of(host)->table, c);
}

static int add_observer(const struct taskcache_host *host, const struct taskcache_observer *o)
{
    return of(host)->init_is_over ? -EPERM : tc_plugin_add_observer(&of(host)->table, o);
}

static int add_storage(const struct taskcache_host *host, const struct taskcache_storage *s)
{
    return of(host)->init_is_over ? -EPERM : tc_plugin_add_storage(&of(host)->table, s);
}

static int add_lock_manager(const struct taskcache_host *host,
                            const struct taskcache_lock_manager *m)
{
    return of(host)->init_is_over ? -EPERM : tc_plugin_add_lock_manager(&of(host)->table, m);
}

static const struct taskcache_option *option_at(const struct taskcache_host *host, uint32_t i)
{
    return i < of(host)->option_count ? &of(host)->options[i] : NULL;
}

static const struct taskcache_option *option(const struct taskcache_host *host, const char *name)
{
    const struct taskcache_option *o;

    for (uint32_t i = 0; (o = option_at(host, i)) != NULL; i++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

static void add(struct taskcache_digest *digest, const void *bytes, uint64_t count)
{
    (void)digest, (void)bytes, (void)count; /* nothing is digested here */
}

static void *allocate(uint64_t bytes)
{
    return malloc(bytes);
}

int tc_plugin_host_add_options(struct tc_plugin_host *h, const struct tc_flat *f, struct tc_span s)
{
    const struct tc_plugin_option *o = tc_flat_at(f, s.off, s.count, sizeof *o);
    struct taskcache_option *grown =
        realloc(h->options, (h->option_count + s.count + 1) * sizeof *grown);

    if (grown == NULL)
        return -ENOMEM;
    h->options = grown;
    for (uint32_t i = 0; o != NULL && i < s.count; i++) {
        struct taskcache_option *to = &grown[h->option_count];

        *to = (struct taskcache_option){.name = strdup(tc_flat_str(f, o[i].name)),
                                        .text = strdup(tc_flat_str(f, o[i].text)),
                                        .kind = o[i].kind,
                                        .integer = o[i].integer};
        memcpy(&to->real, &o[i].real_bits, sizeof o[i].real_bits);
        h->option_count++;
        if (to->name == NULL || to->text == NULL)
            return -ENOMEM;
    }
    return 0;
}

void tc_plugin_host_free(struct tc_plugin_host *h)
{
    for (size_t i = 0; i < h->option_count; i++) {
        free((char *)(uintptr_t)h->options[i].name);
        free((char *)(uintptr_t)h->options[i].text);
    }
    free(h->options);
    *h = (struct tc_plugin_host){.options = NULL};
}

int tc_plugin_host_load(struct tc_plugin_host *h, const char *path, struct taskcache_error *error)
{
    const struct taskcache_plugin *plugin;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    int r;

    plugin = handle != NULL ? dlsym(handle, "taskcache_plugin") : NULL;
    if (plugin == NULL || plugin->init == NULL)
        return -ENOEXEC;
    h->host = (struct taskcache_host){
        .struct_size = sizeof h->host,
        .abi_major = TASKCACHE_ABI_MAJOR,
        .abi_minor = TASKCACHE_ABI_MINOR,
        .add_key_function = add_key,
        .add_codec = add_codec,
        .option = option,
        .option_at = option_at,
        .cause = tc_plugin_cause,
        .add = add,
        .allocate = allocate,
        .release = free,
        .add_observer = add_observer,
        .add_storage = add_storage,
        .add_lock_manager = add_lock_manager,
    };
    r = plugin->init(&h->host, error);
    h->init_is_over = 1;
    return r == 0 ? 0 : -EPROTO;
}
