#include "tools/shown_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/hash.h"

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

int tc_shown_record_open(struct tc_shown_record *r, struct tc_reader *reader,
                         const struct tc_session *s, const struct tc_item *item)
{
    *r = (struct tc_shown_record){.reader = reader, .config = &s->config_flat};
    int e = tc_reader_fetch(reader, "records", item->head.key_low, &r->value, &r->bytes);
    if (e == 0)
        e = tc_record_decode(r->value, r->bytes, &r->view);
    if (e < 0)
        return e;
    r->identity = tc_copyn(r->view.identity, r->view.head.identity_bytes);
    const struct tc_task *task = tc_task_of_identity(s, r->identity);
    const struct tc_param *params =
        task ? tc_flat_at(&s->config_flat, task->params.off, task->params.count, sizeof *params)
             : NULL;
    if (params && fits(r, task, params)) {
        r->task = task;
        r->params = params;
        r->param_count = task->params.count;
    }
    return 0;
}

void tc_shown_record_close(struct tc_shown_record *r)
{
    free(r->value);
    free(r->identity);
    *r = (struct tc_shown_record){0};
}

const struct tc_param *tc_shown_param(const struct tc_shown_record *r, uint32_t index)
{
    return index < r->param_count ? &r->params[index] : NULL;
}

const struct tc_param *tc_shown_param_named(const struct tc_shown_record *r, const char *name,
                                            size_t bytes)
{
    for (uint32_t i = 0; i < r->param_count; i++) {
        const char *own = tc_flat_str(r->config, r->params[i].name);
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
