#include "tools/shown_record.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/hash.h"
#include "cache/plan.h"

/* The prototype of the config is used if it can be that of the record: as many outputs, of the
 * parameters that the extents name. */
static bool fits(const struct tc_shown_record *r, const struct tc_task *task,
                 const struct tc_param *params)
{
    uint32_t index = 0, outputs = task->result_kind != TC_RESULT_VOID;
    struct tc_shown_output o = {0};
    for (uint32_t i = 0; i < task->params.count; i++)
        outputs += params[i].dir == TC_OUT || params[i].dir == TC_INOUT;
    if (outputs != r->view.head.output_count)
        return false;
    while (tc_shown_output_next(r, &index, &o) > 0) {
        uint32_t p = o.extent.param;
        if (p == UINT32_MAX
                ? task->result_kind == TC_RESULT_VOID
                : p >= task->params.count || (params[p].dir != TC_OUT && params[p].dir != TC_INOUT))
            return false;
    }
    return true;
}

/* Does the record's key hold this task's identity and prototype? */
static bool is_of(const struct tc_shown_record *r, const struct tc_flat *config,
                  const struct tc_task *task)
{
    struct tc_component c;
    unsigned char digest[16];
    size_t offset = 0;
    tc_task_digest(task->space.off != 0 ? tc_flat_str(config, task->space) : NULL, r->identity,
                   task->prototype_digest, digest);
    while (tc_material_next(r->view.material, r->view.head.material_bytes, &offset, &c) > 0)
        if (c.head.name_bytes == 5 && memcmp(c.name, "=task", 5) == 0)
            return c.head.form == 0 && c.head.content_bytes == sizeof digest &&
                   memcmp(c.content, digest, sizeof digest) == 0;
    return false;
}

/* `in` is the file of the task's spans and strings. */
static bool take_task(struct tc_shown_record *r, const struct tc_flat *in,
                      const struct tc_task *task)
{
    const struct tc_param *params =
        task ? tc_flat_at(in, task->params.off, task->params.count, sizeof *params) : NULL;
    if (!params || !is_of(r, in, task) || !fits(r, task, params))
        return false;
    r->config = *in;
    r->task = task;
    r->params = params;
    r->param_count = task->params.count;
    return true;
}

static bool take_from_object(struct tc_shown_record *r, const struct tc_flat *plans,
                             const struct tc_object *object)
{
    const struct tc_plan *p = tc_flat_at(plans, object->plans.off, object->plans.count, sizeof *p);
    for (uint32_t i = 0; p && i < object->plans.count; i++)
        if (p[i].own.count && strcmp(tc_flat_str(plans, p[i].identity), r->identity) == 0 &&
            take_task(r, plans, tc_flat_at(plans, p[i].own.off, 1, sizeof(struct tc_task))))
            return true;
    return false;
}

/* Prototypes from debug information are in the plans. */
static bool take_from_plans(struct tc_shown_record *r, const struct tc_flat *config,
                            const char *cache)
{
    const struct tc_config *root = tc_flat_root(config, sizeof *root);
    const struct tc_plans *plans = NULL;
    const struct tc_object *object = NULL;
    char path[TC_PATH_BYTES];
    struct tc_flat flat;
    bool taken = false;
    if (!root || tc_plans_path(cache, root->resolve_digest, path, sizeof path) < 0 ||
        tc_map_file(path, &r->plans_map) < 0)
        return false;
    if (tc_flat_check(r->plans_map.base, r->plans_map.bytes, TC_FLAT_PLANS, &flat) == 0 &&
        tc_plans_verify(&flat, root->tasks.count) == 0) {
        plans = tc_flat_root(&flat, sizeof *plans);
        object = tc_flat_at(&flat, plans->objects.off, plans->objects.count, sizeof *object);
        for (uint32_t i = 0; !taken && i < plans->objects.count; i++)
            taken = take_from_object(r, &flat, &object[i]);
    }
    if (!taken)
        tc_unmap(&r->plans_map);
    return taken;
}

static bool take_prototype(struct tc_shown_record *r, const struct tc_flat *config,
                           const char *cache)
{
    const struct tc_task *task = tc_task_of_identity(config, r->identity);
    if (task && task->texts.count)
        return take_from_plans(r, config, cache);
    return take_task(r, config, task);
}

/* Some compiled config of ours knows the prototype, most likely: those of `run --task` and `run
 * --plugin` are named by nobody. */
static void search_prototype(struct tc_shown_record *r, const char *runtime, const char *cache)
{
    DIR *d = opendir(runtime);
    struct dirent *e;
    while (d && !r->task && (e = readdir(d))) {
        struct tc_flat flat;
        if (strncmp(e->d_name, "config-", 7) != 0)
            continue;
        TC_CLEANUP(tc_free_text) char *path = tc_format("%s/%s", runtime, e->d_name);
        if (tc_map_file(path, &r->config_map) < 0)
            continue;
        if (tc_flat_check(r->config_map.base, r->config_map.bytes, TC_FLAT_CONFIG, &flat) < 0 ||
            tc_config_verify(&flat) < 0 || !take_prototype(r, &flat, cache))
            tc_unmap(&r->config_map);
    }
    if (d)
        (void)closedir(d);
}

int tc_shown_record_open(struct tc_shown_record *r, struct tc_reader *reader,
                         const struct tc_session *s, const struct tc_item *item)
{
    *r = (struct tc_shown_record){.reader = reader};
    int e = tc_reader_fetch(reader, "records", item->head.key_low, &r->value, &r->bytes);
    if (e == 0)
        e = tc_record_decode(r->value, r->bytes, &r->view);
    if (e < 0)
        return e;
    r->identity = tc_copyn(r->view.identity, r->view.head.identity_bytes);
    if (!s->config || !take_prototype(r, &s->config_flat, s->cache))
        search_prototype(r, s->runtime, s->cache);
    return 0;
}

void tc_shown_record_close(struct tc_shown_record *r)
{
    tc_unmap(&r->config_map);
    tc_unmap(&r->plans_map);
    free(r->value);
    free(r->identity);
    *r = (struct tc_shown_record){0};
}

const struct tc_param *tc_shown_param(const struct tc_shown_record *r, uint32_t index)
{
    if (index == UINT32_MAX && r->task && tc_is_owned(&r->task->owned))
        return &r->task->owned;
    return index < r->param_count ? &r->params[index] : NULL;
}

const struct tc_param *tc_shown_param_named(const struct tc_shown_record *r, const char *name,
                                            size_t bytes)
{
    for (uint32_t i = 0; i < r->param_count; i++) {
        const char *own = tc_flat_str(&r->config, r->params[i].name);
        if (strlen(own) == bytes && memcmp(own, name, bytes) == 0)
            return &r->params[i];
    }
    return NULL;
}

int tc_shown_output_next(const struct tc_shown_record *r, uint32_t *index,
                         struct tc_shown_output *output)
{
    uint64_t offset = *index ? output->offset + output->bytes : 0, end;
    struct tc_shown_output next = {.offset = offset};
    if (*index >= r->view.head.output_count)
        return 0;
    memcpy(&next.extent, r->view.extents + *index * sizeof next.extent, sizeof next.extent);
    if (__builtin_mul_overflow(next.extent.pieces, next.extent.piece_bytes, &next.bytes) ||
        __builtin_add_overflow(offset, next.bytes, &end) || end > r->view.head.output_bytes)
        return -EBADMSG;
    *output = next;
    ++*index;
    return 1;
}

static int read_chunk(const struct tc_shown_record *r, uint64_t offset, unsigned char *to,
                      size_t *bytes)
{
    uint64_t number = r->view.head.chunk_first + offset / TC_CHUNK_BYTES, sum;
    size_t at = offset % TC_CHUNK_BYTES, n;
    unsigned char *value;
    if (offset / TC_CHUNK_BYTES >= r->view.head.chunk_count)
        return -EBADMSG;
    if (tc_reader_fetch(r->reader, "chunks", number, &value, &n) < 0)
        return -EBADMSG;
    int e = -EBADMSG;
    if (n > sizeof sum + at) {
        memcpy(&sum, value, sizeof sum);
        n -= sizeof sum;
        *bytes = n - at < *bytes ? n - at : *bytes;
        memcpy(to, value + sizeof sum + at, *bytes);
        e = sum == tc_hash64(value + sizeof sum, n) ? 0 : -EBADMSG;
    }
    free(value);
    return e;
}

int tc_shown_output_read(const struct tc_shown_record *r, uint64_t offset, unsigned char *to,
                         size_t bytes)
{
    if (r->view.outputs) {
        memcpy(to, r->view.outputs + offset, bytes);
        return 0;
    }
    for (size_t done = 0; done < bytes;) {
        size_t n = bytes - done;
        int e = read_chunk(r, offset + done, to + done, &n);
        if (e < 0)
            return e;
        done += n;
    }
    return 0;
}
