#include "openblas.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

static const struct taskcache_host *host;

/* OpenBLAS' own names, and those of the builds in wheels, whose functions have a prefix, a suffix,
 * or both. */
static const struct {
    const char *core, *threads;
} names[] = {
    {"openblas_get_corename", "openblas_get_num_threads"},
    {"openblas_get_corename64_", "openblas_get_num_threads64_"},
    {"openblas_get_corename_64", "openblas_get_num_threads_64"},
    {"scipy_openblas_get_corename", "scipy_openblas_get_num_threads"},
    {"scipy_openblas_get_corename64_", "scipy_openblas_get_num_threads64_"},
};

/* Nothing is remembered from one call to the next: a library may be gone, and another one be in its
 * place. */
static void put_openblas(void *library, struct taskcache_cursor *key)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *(*core)(void);
        int (*threads)(void), count;
        const char *name;

        *(void **)(void *)&core = dlsym(library, names[i].core);
        if (core == NULL)
            continue;
        *(void **)(void *)&threads = dlsym(library, names[i].threads);
        if (threads == NULL)
            continue;
        name = core();
        count = threads();
        taskcache_put(key, name, strlen(name) + 1);
        taskcache_put(key, &count, sizeof count);
        return;
    }
}

/* Looks in the function's library and in those that it is linked with: reference LAPACK's BLAS may
 * be OpenBLAS. Where there is none, there is no key, and the policy's other members make it. */
static int compute(void *data, const struct taskcache_call *call, struct taskcache_cursor *key,
                   struct taskcache_error *error)
{
    Dl_info info;
    void *library = NULL;

    (void)data;
    if (dladdr(call->function, &info) != 0)
        library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL) {
        host->cause(error, "the library of the function can't be asked for OpenBLAS");
        return -ENOENT;
    }
    put_openblas(library, key);
    (void)dlclose(library);
    (void)dlerror(); /* what wasn't found is no error of the program's */
    return 0;
}

int openblas_register(const struct taskcache_host *h)
{
    static const struct taskcache_key_function f = {
        .struct_size = sizeof f, .name = "openblas", .compute = compute};

    host = h;
    return h->add_key_function(h, &f);
}
