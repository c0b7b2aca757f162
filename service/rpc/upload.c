#include "service/rpc/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/record.h"

#define CHUNKS_A_STEP 8u

struct tc_upload {
    struct tc_upload *next;
    struct tc_connection *connection; /* NULL: gone */
    struct tc_pending *pending;
    int fd;
    uint64_t bytes;    /* of the draft */
    size_t head_bytes; /* all but the outputs; 0: not looked at yet */
    uint64_t output_bytes;
    uint32_t chunk_count; /* 0: the outputs go into the record */
    uint32_t done;        /* chunks that are written, in this transaction or before */
    uint64_t chunk_first;
    uint64_t epoch;
    uint32_t pid;
    int only_if_missing;
    int staged;
    uint64_t transaction[2];
    char program[32];
    uint32_t found, string_head_bytes;
    int64_t expired_ns;
    unsigned char heads[TC_STRING_HEADS];
    unsigned char *buffer; /* TC_RECORD_INLINE_BYTES */
};

static int read_all(int fd, void *to, size_t bytes, uint64_t offset)
{
    unsigned char *p = to;

    while (bytes > 0) {
        ssize_t n = pread(fd, p, bytes, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EBADMSG;
        p += n;
        bytes -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int tc_upload_begin(struct tc_uploads *list, struct tc_connection *c, int fd,
                    const struct tc_store_request *request, const struct tc_draft *how,
                    struct tc_pending *p)
{
    struct tc_upload *u;
    struct stat st;

    /* Only memory has seals: a FIFO, or a file on a dead server, would hang us. */
    if (fcntl(fd, F_GET_SEALS) < 0 || fstat(fd, &st) < 0 ||
        (uint64_t)st.st_size < request->draft_bytes ||
        request->draft_bytes < sizeof(struct tc_record)) {
        (void)close(fd);
        return -EBADMSG;
    }
    u = calloc(1, sizeof *u);
    if (u == NULL || (u->buffer = malloc(TC_RECORD_INLINE_BYTES)) == NULL) {
        free(u);
        (void)close(fd);
        return -ENOMEM;
    }
    u->connection = c;
    u->pending = p;
    u->fd = fd;
    u->bytes = request->draft_bytes;
    u->pid = request->pid;
    u->only_if_missing = how->only_if_missing;
    u->found = request->found;
    u->expired_ns = request->expired_ns;
    u->string_head_bytes = how->head_bytes;
    if (how->head_bytes > 0)
        memcpy(u->heads, how->heads, how->head_bytes);
    u->staged = (request->flags & TC_STORE_STAGE) != 0;
    memcpy(u->transaction, request->transaction, sizeof u->transaction);
    memcpy(u->program, request->program, sizeof u->program);
    c->uploads++;
    if (list->last != NULL)
        list->last->next = u;
    else
        list->first = u;
    list->last = u;
    return 0;
}

void tc_uploads_forget(struct tc_uploads *list, const struct tc_connection *c)
{
    for (struct tc_upload *u = list->first; u != NULL; u = u->next) {
        if (u->connection == c)
            u->connection = NULL;
    }
}

int tc_uploads_have(const struct tc_uploads *list, const uint64_t transaction[2])
{
    for (const struct tc_upload *u = list->first; u != NULL; u = u->next)
        if (u->staged && memcmp(u->transaction, transaction, sizeof u->transaction) == 0)
            return 1;
    return 0;
}

static struct tc_pending *take_first(struct tc_uploads *list)
{
    struct tc_upload *u = list->first;
    struct tc_pending *p = u->pending;

    list->first = u->next;
    if (list->first == NULL)
        list->last = NULL;
    if (u->connection != NULL) {
        u->connection->uploads--;
        u->connection->readable = 1;
    }
    (void)close(u->fd);
    free(u->buffer);
    free(u);
    return p;
}

struct tc_pending *tc_uploads_cancel_first(struct tc_uploads *list)
{
    return list->first != NULL ? take_first(list) : NULL;
}

void tc_uploads_free(struct tc_uploads *list)
{
    while (list->first != NULL)
        tc_pending_ready(take_first(list), -ECANCELED, TC_R_NO_SERVICE, 0);
}

/* How long the draft's head is, and how its outputs will lie in the store. */
static int measure(struct tc_upload *u)
{
    struct tc_record head;
    uint64_t bytes;
    int r = read_all(u->fd, &head, sizeof head, 0);

    if (r < 0)
        return r;
    bytes = sizeof head + (uint64_t)head.identity_bytes + head.material_bytes +
            (uint64_t)head.output_count * sizeof(struct tc_extent);
    if (head.magic != TC_RECORD_MAGIC || bytes > TC_RECORD_INLINE_BYTES || bytes > u->bytes ||
        u->bytes - bytes != head.output_bytes)
        return -EBADMSG;
    u->head_bytes = (size_t)bytes;
    u->output_bytes = head.output_bytes;
    if (u->bytes > TC_RECORD_INLINE_BYTES) {
        uint64_t n = (head.output_bytes + TC_CHUNK_BYTES - 1) / TC_CHUNK_BYTES;
        if (n > UINT32_MAX)
            return -EFBIG;
        u->chunk_count = (uint32_t)n;
    }
    return 0;
}

static int put_record(struct tc_upload *u, struct tc_store *store)
{
    struct tc_draft d = {.data = u->buffer,
                         .chunk_first = u->chunk_first,
                         .chunk_count = u->chunk_count,
                         .pid = u->pid,
                         .program = u->program,
                         .only_if_missing = u->only_if_missing,
                         .found = u->found,
                         .expired_ns = u->expired_ns,
                         .heads = u->heads,
                         .head_bytes = u->string_head_bytes,
                         .transaction = u->staged ? u->transaction : NULL};
    int r;

    d.bytes = u->chunk_count > 0 ? u->head_bytes : (size_t)u->bytes;
    r = read_all(u->fd, u->buffer, d.bytes, 0);
    if (r == 0 && u->chunk_count > 0) {
        /* What the sender says about chunks is nothing: they are ours. */
        struct tc_record head;
        memcpy(&head, u->buffer, sizeof head);
        if (head.output_bytes != u->output_bytes)
            return -EBADMSG;
        head.chunk_count = 0;
        memcpy(u->buffer, &head, sizeof head);
    }
    return r < 0 ? r : tc_store_put(store, &d);
}

static int put_chunks(struct tc_upload *u, struct tc_store *store, uint32_t count)
{
    int r = 0;

    for (uint32_t i = u->done; i < u->done + count && r == 0; i++) {
        uint64_t from = (uint64_t)i * TC_CHUNK_BYTES;
        uint64_t left = u->output_bytes - from;
        size_t bytes = left < TC_CHUNK_BYTES ? (size_t)left : TC_CHUNK_BYTES;

        r = read_all(u->fd, u->buffer, bytes, u->head_bytes + from);
        if (r == 0)
            r = tc_store_put_chunk(store, u->chunk_first + i, u->buffer, bytes);
    }
    return r;
}

/* 1: through, 0: more to do. */
static int advance(struct tc_upload *u, struct tc_store *store)
{
    uint32_t count;
    int r = u->head_bytes == 0 ? measure(u) : 0;

    if (r < 0)
        return r;
    if (u->chunk_count > 0 && u->chunk_first == 0) {
        r = tc_store_reserve_chunks(store, u->output_bytes, u->chunk_count, &u->chunk_first);
        u->epoch = tc_store_epoch(store);
        if (r < 0)
            u->chunk_first = 0;
        return r;
    }
    if (u->chunk_count > 0 && u->epoch != tc_store_epoch(store))
        return -ECANCELED;
    count = u->chunk_count - u->done;
    count = count < CHUNKS_A_STEP ? count : CHUNKS_A_STEP;
    if (count > 0) {
        r = put_chunks(u, store, count);
        if (r == 0)
            u->done += count;
        return r;
    }
    r = put_record(u, store);
    return r < 0 ? r : 1;
}

int tc_uploads_step(struct tc_uploads *list, struct tc_store *store, int *ret_status,
                    struct tc_pending **ret_pending)
{
    struct tc_upload *u = list->first;
    int r, spoilt;

    if (u == NULL)
        return 0;
    r = advance(u, store);
    if (r == 0)
        return 0;
    spoilt = r != 1 && r != -EBADMSG && r != -EFBIG && r != -ECANCELED;
    if (spoilt)
        return r;
    *ret_status = r == 1 ? 0 : r;
    /* Chunks of what failed: now, if need be by the next start. */
    if (r < 0 && u->chunk_first != 0 && u->epoch == tc_store_epoch(store))
        (void)tc_store_drop_chunks(store, u->chunk_first, u->chunk_count);
    *ret_pending = take_first(list);
    return 1;
}
