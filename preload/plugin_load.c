#include "preload/plugin_load.h"

#include <errno.h>
#include <string.h>

/* Of the process, as far as it has them (glibc before 2.34 keeps them in a library of its own). */
extern void *dlopen(const char *path, int flags) __attribute__((weak));
extern void *dlsym(void *handle, const char *name) __attribute__((weak));

enum {
    NOW_LOCAL_NODELETE = 0x2 | 0x1000, /* RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE */
};

static struct {
    void *allocate, *release;      /* the host's malloc and free */
    void *begin_catch, *end_catch; /* of a C++ runtime, if there is one */
} found;

static uint64_t address_of(void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static uint64_t call2(void *function, uint64_t a, uint64_t b)
{
    struct tc_host_call c = {.function = address_of(function), .argument = {a, b}};

    return tc_call_host(&c) == 0 ? c.result : 0;
}

static void *symbol(void *handle, const char *name)
{
    return (void *)(uintptr_t)call2((void *)dlsym, address_of(handle),
                                    address_of((void *)(uintptr_t)name));
}

/* In the plugin's own libraries first: nothing of them need be global. */
static void *symbol_anywhere(void *handle, const char *name)
{
    void *p = symbol(handle, name);

    return p != NULL ? p : symbol(NULL, name);
}

void tc_plugin_say(const struct tc_loaded_plugin *p, const char *what, const char *text,
                   struct tc_plugin_area *area)
{
    char head[160];

    tc_join(head, sizeof head, "plugin ", p->name, ": ", what);
    tc_join(area->why, sizeof area->why, head, text[0] != 0 ? ": " : "", text, NULL);
}

void tc_plugin_end_exception(uint64_t exception)
{
    if (found.begin_catch == NULL || found.end_catch == NULL)
        return;
    call2(found.begin_catch, exception, 0);
    call2(found.end_catch, 0, 0);
}

/* The host's table. Its functions are called by the plugin, inside a call of ours. */
static struct tc_loaded_plugin *loaded(const struct taskcache_host *host)
{
    return (struct tc_loaded_plugin *)(uintptr_t)host;
}

/* Other threads read the table from then on. */
static int is_init(const struct taskcache_host *host)
{
    return __atomic_load_n(&loaded(host)->state, __ATOMIC_RELAXED) == TC_PLUGIN_LOADING;
}

static int add_key(const struct taskcache_host *host, const struct taskcache_key_function *f)
{
    return is_init(host) ? tc_plugin_add_key(&loaded(host)->table, f) : -EPERM;
}

static int add_codec(const struct taskcache_host *host, const struct taskcache_codec *c)
{
    return is_init(host) ? tc_plugin_add_codec(&loaded(host)->table, c) : -EPERM;
}

/* They run in the service. */
static int add_observer(const struct taskcache_host *host, const struct taskcache_observer *o)
{
    return is_init(host) ? tc_plugin_add_observer(&loaded(host)->table, o) : -EPERM;
}

static int add_storage(const struct taskcache_host *host, const struct taskcache_storage *s)
{
    return is_init(host) ? tc_plugin_add_storage(&loaded(host)->table, s) : -EPERM;
}

static int add_lock_manager(const struct taskcache_host *host,
                            const struct taskcache_lock_manager *m)
{
    return is_init(host) ? tc_plugin_add_lock_manager(&loaded(host)->table, m) : -EPERM;
}

static const struct taskcache_option *option_at(const struct taskcache_host *host, uint32_t i)
{
    const struct tc_loaded_plugin *p = loaded(host);

    return i < p->option_count ? &p->options[i] : NULL;
}

static const struct taskcache_option *option(const struct taskcache_host *host, const char *name)
{
    const struct taskcache_option *o;
    size_t n = strlen(name);

    for (uint32_t i = 0; (o = option_at(host, i)) != NULL; i++)
        if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
            return o;
    return NULL;
}

static void add(struct taskcache_digest *digest, const void *bytes, uint64_t count)
{
    if (digest == NULL || digest->state == NULL)
        return;
    tc_hash_add(digest->state, bytes, count);
    digest->bytes += count;
}

static void *allocate(uint64_t bytes)
{
    void *(*f)(size_t);

    if (found.allocate == NULL)
        return NULL;
    memcpy(&f, &found.allocate, sizeof f);
    return f(bytes);
}

static void release(void *memory)
{
    void (*f)(void *);

    if (found.release == NULL)
        return;
    memcpy(&f, &found.release, sizeof f);
    f(memory);
}

static void fill_host(struct tc_loaded_plugin *p)
{
    p->host = (struct taskcache_host){
        .struct_size = sizeof p->host,
        .abi_major = TASKCACHE_ABI_MAJOR,
        .abi_minor = TASKCACHE_ABI_MINOR,
        .add_key_function = add_key,
        .add_codec = add_codec,
        .option = option,
        .option_at = option_at,
        .cause = tc_plugin_cause,
        .add = add,
        .allocate = allocate,
        .release = release,
        .add_observer = add_observer,
        .add_storage = add_storage,
        .add_lock_manager = add_lock_manager,
    };
}

static void fill_options(struct tc_loaded_plugin *p)
{
    const struct tc_flat *f = &tc_state.config_flat;
    const struct tc_plugin_option *o =
        tc_flat_at(f, p->file->options.off, p->file->options.count, sizeof *o);

    for (uint32_t i = 0; i < p->file->options.count; i++) {
        p->options[i].name = tc_flat_str(f, o[i].name);
        p->options[i].text = tc_flat_str(f, o[i].text);
        p->options[i].kind = o[i].kind;
        p->options[i].integer = o[i].integer;
        memcpy(&p->options[i].real, &o[i].real_bits, sizeof o[i].real_bits);
    }
    p->option_count = p->file->options.count;
}

static int same_file(const struct tc_file_id *a, const struct tc_file_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static uint32_t unavailable(const struct tc_loaded_plugin *p, const char *why,
                            struct tc_plugin_area *area)
{
    tc_plugin_say(p, why, "", area);
    return TC_R_PLUGIN_UNAVAILABLE;
}

static void find_runtime(void *handle)
{
    found.allocate = symbol(NULL, "malloc");
    found.release = symbol(NULL, "free");
    found.begin_catch = symbol_anywhere(handle, "__cxa_begin_catch");
    found.end_catch = symbol_anywhere(handle, "__cxa_end_catch");
    if (found.begin_catch != NULL && found.end_catch != NULL) {
        void *ip = symbol_anywhere(handle, "_Unwind_SetIP");
        void *reg = symbol_anywhere(handle, "_Unwind_SetGR");
        if (ip != NULL && reg != NULL)
            tc_host_unwinder(ip, reg);
    }
}

static uint32_t run_init(struct tc_loaded_plugin *p, const struct taskcache_plugin *plugin,
                         struct tc_plugin_area *area)
{
    struct tc_host_call c = {
        .function = (uint64_t)(uintptr_t)plugin->init,
        .argument = {(uint64_t)(uintptr_t)&p->host, (uint64_t)(uintptr_t)&area->error}};
    char causes[300];

    area->error.count = 0;
    if (tc_call_host(&c) != 0) {
        tc_plugin_end_exception(c.result);
        return unavailable(p, "its `init` threw an exception", area);
    }
    if ((int)c.result == 0)
        return 0;
    tc_plugin_causes(&area->error, causes, sizeof causes);
    tc_plugin_say(p, "its `init` failed", causes, area);
    return TC_R_PLUGIN_UNAVAILABLE;
}

uint32_t tc_plugin_load(struct tc_loaded_plugin *p, struct tc_plugin_area *area)
{
    const char *path = tc_config_str(p->file->path);
    const struct taskcache_plugin *plugin;
    struct tc_file_id id;
    void *handle;

    if (dlopen == NULL || dlsym == NULL)
        return unavailable(p, "this program has no dlopen()", area);
    if (tc_sys_file_id(path, &id) < 0 || !same_file(&id, &p->file->id))
        return unavailable(p, "its file isn't the one that the config was compiled with", area);
    handle =
        (void *)(uintptr_t)call2((void *)dlopen, (uint64_t)(uintptr_t)path, NOW_LOCAL_NODELETE);
    if (handle == NULL)
        return unavailable(p, "dlopen() failed", area);
    plugin = symbol(handle, "taskcache_plugin");
    if (plugin == NULL || plugin->magic != TASKCACHE_PLUGIN_MAGIC ||
        plugin->abi_major != TASKCACHE_ABI_MAJOR || plugin->init == NULL)
        return unavailable(p, "it isn't the plugin that it was", area);
    find_runtime(handle);
    fill_host(p);
    fill_options(p);
    return run_init(p, plugin, area);
}
