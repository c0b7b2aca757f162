#include "preload/template.h"

#include <string.h>

#include "preload/capture.h"

/* Takes the text: whole while it fits, then its hash. */
struct sink {
    unsigned char *text;
    size_t bytes;
    struct tc_hash_state *state;
    uint64_t seed;
    int hashing;
};

static void put(struct sink *s, const void *data, size_t bytes)
{
    if (!s->hashing && bytes > TC_KEY_TEXT - s->bytes) {
        tc_hash_begin(s->state, s->seed);
        tc_hash_add(s->state, s->text, s->bytes);
        s->hashing = 1;
    }
    if (s->hashing) {
        tc_hash_add(s->state, data, bytes);
        return;
    }
    memcpy(s->text + s->bytes, data, bytes);
    s->bytes += bytes;
}

static void put_char(struct sink *s, char c)
{
    put(s, &c, 1);
}

static void put_decimal(struct sink *s, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    put(s, digits + at, sizeof digits - at);
}

static void put_signed(struct sink *s, int64_t v)
{
    if (v < 0)
        put_char(s, '-');
    put_decimal(s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* As printf's %a: 0x1.8p+1, fractions without zeros at their end. */
static void put_double(struct sink *s, uint64_t bits)
{
    uint64_t fraction = bits << 12;
    int exponent = (int)(bits >> 52 & 0x7ff);

    if (bits >> 63)
        put_char(s, '-');
    if (exponent == 0x7ff) {
        put(s, fraction != 0 ? "nan" : "inf", 3);
        return;
    }
    put(s, exponent != 0 ? "0x1" : "0x0", 3);
    if (fraction != 0)
        put_char(s, '.');
    for (; fraction != 0; fraction <<= 4)
        put_char(s, "0123456789abcdef"[fraction >> 60]);
    exponent = exponent != 0 ? exponent - 1023 : (bits << 1) != 0 ? -1022 : 0;
    put(s, exponent < 0 ? "p-" : "p+", 2);
    put_decimal(s, (uint64_t)(exponent < 0 ? -exponent : exponent));
}

uint32_t tc_template_real(uint64_t bits, char to[TC_REAL_TEXT])
{
    struct sink s = {.text = (unsigned char *)to};

    put_double(&s, bits);
    return (uint32_t)s.bytes;
}

/* Up to the NUL, page by page: what lies behind it may not be readable. */
static uint32_t put_string(struct sink *s, const struct tc_call *c, uint64_t address)
{
    if (address == 0)
        return TC_R_BAD_EXTENT;
    for (;;) {
        const char *p = (const char *)(uintptr_t)address;
        size_t room = 4096 - (address & 4095), n = 0;
        if (c->probing && tc_sys_readable(address, 1) < 0)
            return TC_R_UNREADABLE;
        while (n < room && p[n] != 0)
            n++;
        put(s, p, n);
        if (n < room)
            return 0;
        address += n;
    }
}

static uint32_t put_part(struct sink *s, struct tc_call *c, const struct tc_key_part *part)
{
    int64_t v = 0;
    uint32_t r;

    if (part->kind == TC_PART_TEXT) {
        put(s, tc_task_str(c->hook, part->text), part->text.bytes);
        return 0;
    }
    r = tc_evaluate(c, part->program, &v);
    if (r != 0)
        return r;
    if (part->kind == TC_PART_STRING)
        return put_string(s, c, (uint64_t)v);
    if (part->kind == TC_PART_FLOAT)
        put_double(s, (uint64_t)v);
    else if (part->kind == TC_PART_UNSIGNED)
        put_decimal(s, (uint64_t)v);
    else
        put_signed(s, v);
    return 0;
}

uint32_t tc_template_text(struct tc_context *x, struct tc_call *c, struct tc_key_text *ret)
{
    struct sink s = {.text = x->check, .state = &x->hash, .seed = c->seed};
    struct tc_hash128 digest;
    uint32_t r = 0;

    for (uint32_t i = 0; r == 0 && i < c->hook->task->key_parts.count; i++)
        r = put_part(&s, c, &c->hook->key_parts[i]);
    if (r != 0)
        return r;
    if (s.hashing) {
        digest = tc_hash_end128(s.state);
        memcpy(x->check, &digest, sizeof digest);
        s.bytes = sizeof digest;
    }
    *ret =
        (struct tc_key_text){x->check, (uint32_t)s.bytes, s.hashing ? TC_TAG_BYTES : TC_TAG_STRING};
    return 0;
}
