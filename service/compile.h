/*
 * Compiled configs: RUNTIME/config-HEX.flat, made by a child process from a config's text
 * (service/resolve/config.h). Requests for one config are joined.
 *
 * tc_compile() tells its result through `done`, perhaps before it returns: 0 when the file is in
 * place (a config with errors too: they are in the file), else a negative errno with its reason.
 * One thread.
 */
#ifndef TC_SERVICE_COMPILE_H
#define TC_SERVICE_COMPILE_H

#include "service/dirs.h"
#include "service/flat_file.h"
#include "service/job.h"
#include "service/log.h"

typedef void tc_done_fn(void *ctx, int status, unsigned reason, uint64_t value);

struct tc_waiter {
    struct tc_waiter *next;
    tc_done_fn *done;
    void *ctx;
    uint64_t batch; /* plan.c: that must be through */
};

struct tc_compiler {
    const struct tc_dirs *dirs;
    struct tc_log *log;
    struct tc_jobs *jobs;
    struct tc_compile *first;
    /* Told of each config that was compiled, NULL. */
    void (*compiled)(void *ctx, const struct tc_flat *config);
    void *ctx;
};

void tc_compile(struct tc_compiler *c, const char *path, tc_done_fn *done, void *ctx);

/* Before there is a loop. */
int tc_compile_now(struct tc_compiler *c, const char *path, struct tc_flat_file *ret,
                   struct tc_failure *f);

/* The compiled config for (path, id), if it is there and nothing that it was made from has changed.
 * -ENOENT, -ESTALE. */
int tc_compiled_open(const struct tc_dirs *dirs, const char *path, const struct tc_file_id *id,
                     struct tc_flat_file *ret);

void tc_compiler_free(struct tc_compiler *c);

#endif
