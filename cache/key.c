#include "cache/key.h"

#include <errno.h>
#include <string.h>

#include "cache/blake2s.h"

#define DIGEST_BYTES 16u

int tc_material_next(const unsigned char *material, size_t bytes, size_t *offset,
                     struct tc_component *ret)
{
    struct tc_component c;
    size_t left = bytes - *offset, body;

    if (*offset >= bytes)
        return *offset == bytes ? 0 : -EBADMSG;
    if (left < sizeof c.head)
        return -EBADMSG;
    memcpy(&c.head, material + *offset, sizeof c.head);
    left -= sizeof c.head;
    if (c.head.form > 1 || c.head.name_bytes > left)
        return -EBADMSG;
    left -= c.head.name_bytes;
    if (c.head.form == 0 && c.head.content_bytes > left)
        return -EBADMSG;
    body = c.head.form == 0 ? (size_t)c.head.content_bytes : DIGEST_BYTES;
    if (body > left)
        return -EBADMSG;
    c.name = (const char *)material + *offset + sizeof c.head;
    c.content = (const unsigned char *)c.name + c.head.name_bytes;
    *offset += sizeof c.head + c.head.name_bytes + body;
    *ret = c;
    return 1;
}

/* What a component takes at least, and what it takes with its content inside. */
static size_t as_digest(const struct tc_material *m)
{
    return sizeof(struct tc_component_head) + m->name_bytes + DIGEST_BYTES;
}

void tc_material_init(struct tc_material *m, unsigned char *memory, struct tc_hash_state *scratch,
                      uint64_t seed)
{
    memset(m, 0, sizeof *m);
    m->state = scratch;
    m->memory = memory;
    m->seed = seed;
}

/* Before anything is added each component is announced: the room for all digests is reserved first.
 */
void tc_material_announce(struct tc_material *m, size_t name_bytes)
{
    m->reserved += sizeof(struct tc_component_head) + name_bytes + DIGEST_BYTES;
}

int tc_material_begin(struct tc_material *m, const char *name, size_t name_bytes, uint8_t tag,
                      uint64_t content_bytes)
{
    struct tc_component_head head = {
        .name_bytes = (uint16_t)name_bytes, .tag = tag, .content_bytes = content_bytes};
    size_t room;

    m->name_bytes = name_bytes;
    if (m->bytes + m->reserved > TC_MATERIAL_BYTES || as_digest(m) > m->reserved)
        return -ENOSPC;
    m->reserved -= as_digest(m);
    room = TC_MATERIAL_BYTES - m->bytes - m->reserved - sizeof head - name_bytes;
    head.form = content_bytes > room;
    memcpy(m->memory + m->bytes, &head, sizeof head);
    memcpy(m->memory + m->bytes + sizeof head, name, name_bytes);
    m->bytes += sizeof head + name_bytes;
    m->left = content_bytes;
    m->digesting = head.form;
    if (m->digesting) {
        uint64_t frame[2] = {tag, content_bytes};
        tc_hash_begin(m->state, m->seed);
        tc_hash_add(m->state, frame, sizeof frame);
    }
    return 0;
}

void tc_material_content(struct tc_material *m, const void *data, size_t bytes)
{
    if (bytes > m->left)
        bytes = (size_t)m->left; /* a string that grew while it was read: the comparison after the
                                    call finds it */
    m->left -= bytes;
    if (m->digesting) {
        tc_hash_add(m->state, data, bytes);
        return;
    }
    memcpy(m->memory + m->bytes, data, bytes);
    m->bytes += bytes;
}

int tc_material_end(struct tc_material *m)
{
    if (m->left != 0)
        return -EAGAIN;
    if (m->digesting) {
        struct tc_hash128 h = tc_hash_end128(m->state);
        memcpy(m->memory + m->bytes, &h, sizeof h);
        m->bytes += sizeof h;
        m->digesting = 0;
    }
    return 0;
}

size_t tc_material_private(const struct tc_material *m, unsigned char *ret)
{
    const struct tc_component_head head = {.name_bytes = sizeof TC_PRIVATE - 1,
                                           .tag = TC_TAG_BYTES,
                                           .content_bytes = TC_BLAKE2S_BYTES};

    memcpy(ret, &head, sizeof head);
    memcpy(ret + sizeof head, TC_PRIVATE, head.name_bytes);
    tc_blake2s(&m->seed, sizeof m->seed, m->memory, m->bytes, ret + sizeof head + head.name_bytes);
    return TC_PRIVATE_BYTES;
}

struct tc_key tc_material_key(const struct tc_material *m)
{
    struct tc_hash128 h = tc_hash128(m->memory, m->bytes, m->seed);
    return (struct tc_key){.low = h.low, .high = h.high};
}

void tc_task_digest(const char *space, const char *identity, const uint8_t prototype_digest[16],
                    unsigned char ret[16])
{
    struct {
        uint64_t kind;
        struct tc_hash128 name, prototype;
    } content = {0};
    const char *name = space != NULL ? space : identity;
    struct tc_hash128 digest;

    content.kind = space != NULL;
    content.name = tc_hash128(name, strlen(name), 0);
    if (space == NULL)
        memcpy(&content.prototype, prototype_digest, sizeof content.prototype);
    digest = tc_hash128(&content, sizeof content, 0);
    memcpy(ret, &digest, sizeof digest);
}
