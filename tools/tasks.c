#include "tools/tasks.h"

#include <string.h>

#include "cache/hash.h"
#include "cache/object_glob.h"
#include "tools/base.h"

const struct tc_task *tc_config_tasks(const struct tc_flat *config, uint32_t *ret_count)
{
    const struct tc_config *root = tc_flat_root(config, sizeof *root);
    *ret_count = root ? root->tasks.count : 0;
    return *ret_count ? tc_flat_at(config, root->tasks.off, *ret_count, sizeof(struct tc_task))
                      : NULL;
}

char *tc_task_label(const struct tc_flat *config, const struct tc_task *task)
{
    const char *name = tc_flat_str(config, task->name), *file = tc_flat_str(config, task->file);
    const char *object = tc_flat_str(config, task->object);
    if (*name)
        return tc_copy(name);
    return tc_format("%s%s%s%s%s", file, *file ? ":" : "", tc_flat_str(config, task->symbol),
                     *object ? "@" : "", object);
}

bool tc_task_is_offered(const struct tc_task *task)
{
    return task->line == 0;
}

/* 2: it is this task's, 1: it is a function of that name, 0: neither. Identities are `name:`, else
 * [file.c:]symbol@SONAME. */
static int likeness(const struct tc_flat *f, const struct tc_task *task, const char *identity)
{
    const char *name = tc_flat_str(f, task->name), *symbol = tc_flat_str(f, task->symbol);
    const char *file = tc_flat_str(f, task->file), *object = tc_flat_str(f, task->object);
    if (*name)
        return strcmp(name, identity) == 0 ? 2 : 0;
    const char *at = strrchr(identity, '@');
    size_t left = at ? (size_t)(at - identity) : strlen(identity), bytes = strlen(symbol);
    if (left < bytes || memcmp(identity + left - bytes, symbol, bytes) != 0)
        return 0;
    if (left > bytes && identity[left - bytes - 1] != ':')
        return 0;
    if (*file && (left != strlen(file) + 1 + bytes || strncmp(identity, file, strlen(file)) != 0))
        return 0;
    return !*object || (at && tc_object_glob(object, at + 1)) ? 2 : 1;
}

const struct tc_task *tc_task_of_identity(const struct tc_flat *config, const char *identity)
{
    uint32_t count;
    const struct tc_task *tasks = tc_config_tasks(config, &count), *best = NULL;
    int most = 0;
    for (uint32_t i = 0; tasks && i < count; i++) {
        int now = likeness(config, &tasks[i], identity);
        if (now > most) {
            most = now;
            best = &tasks[i];
        }
    }
    return best;
}
