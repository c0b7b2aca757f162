#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/nearest.h"
#include "service/resolve/proto_ast.h"

#define BLOCK_BYTES 16384u

struct proto_block {
    struct proto_block *next;
    size_t used, bytes;
    _Alignas(16) unsigned char data[];
};

static struct proto_block *add_block(struct proto *p, size_t bytes)
{
    size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct proto_block *block;

    /* Texts are bounded and so are trees: only a flaw of ours gets here. */
    if (room > PROTO_MAX_MEMORY - p->memory)
        proto_no_memory(p);
    block = calloc(1, sizeof *block + room);
    if (block == NULL)
        proto_no_memory(p);
    block->bytes = room;
    block->next = p->blocks;
    p->blocks = block;
    p->memory += room;
    return block;
}

void *proto_new(struct proto *p, size_t bytes)
{
    struct proto_block *block = p->blocks;
    void *r;

    if (bytes > PROTO_MAX_MEMORY)
        proto_no_memory(p);
    bytes = (bytes + 15) & ~(size_t)15;
    if (block == NULL || bytes > block->bytes - block->used)
        block = add_block(p, bytes);
    r = block->data + block->used;
    block->used += bytes;
    return r;
}

void proto_free(struct proto *p)
{
    while (p->blocks != NULL) {
        struct proto_block *next = p->blocks->next;

        free(p->blocks);
        p->blocks = next;
    }
}

char *proto_copy(struct proto *p, const char *s, size_t bytes)
{
    char *r = proto_new(p, bytes + 1);

    memcpy(r, s, bytes);
    r[bytes] = '\0';
    return r;
}

char *proto_format(struct proto *p, const char *format, ...)
{
    char text[512];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return proto_copy(p, text, strlen(text));
}

void proto_fail(struct proto *p, enum tc_reason reason, proto_at at, const char *remedy,
                const char *format, ...)
{
    char sentence[sizeof p->error->sentence];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(sentence, sizeof sentence, format, list);
    va_end(list);
    *p->error_field = (enum tc_proto_field)(at >> 24);
    (void)tc_text_fail(p->error, reason, at & 0xffffffu, remedy, "%s", sentence);
    longjmp(p->unwind, 1);
}

void proto_no_memory(struct proto *p)
{
    longjmp(p->unwind, 2);
}

void proto_put(struct proto *p, struct proto_buffer *b, const char *s)
{
    size_t bytes = strlen(s);

    /* A few typedefs of function types that take one another twice print exponentially. */
    if (bytes > PROTO_MAX_PRINT || b->bytes + bytes > PROTO_MAX_PRINT)
        proto_fail(p, TC_R_TOO_MANY, 0, NULL,
                   "the prototype is too long when its types are "
                   "written out");
    if (b->data == NULL || b->bytes + bytes + 1 > b->allocated) {
        uint32_t allocated = 2 * (b->bytes + (uint32_t)bytes) + 256;
        char *data = proto_new(p, allocated);

        if (b->bytes > 0)
            memcpy(data, b->data, b->bytes);
        b->data = data;
        b->allocated = allocated;
    }
    memcpy(b->data + b->bytes, s, bytes + 1);
    b->bytes += (uint32_t)bytes;
}

void proto_near(struct proto_nearest *n, const char *word, const char *known)
{
    size_t bytes = strlen(word);
    unsigned distance = tc_word_distance(word, bytes, known, strlen(known));

    if (!tc_near_enough(distance, bytes) || (n->best != NULL && distance >= n->distance))
        return;
    n->best = known;
    n->distance = distance;
}
