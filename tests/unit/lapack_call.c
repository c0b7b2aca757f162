#include "tests/unit/lapack_call.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/resolve/plugin_read.h"

const struct lapack_type lapack_types[4] = {{'s', 4, 4}, {'d', 8, 8}, {'c', 8, 4}, {'z', 16, 8}};

void *lapack;

unsigned next_random(void)
{
    static uint64_t seed = 0x2545f4914f6cdd1du;

    seed ^= seed << 13; /* xorshift64 */
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 32);
}

int random_size(void)
{
    static const unsigned limits[] = {1, 4, 12, 40};

    return 1 + (int)(next_random() % limits[next_random() % 4]);
}

int random_ld(int least)
{
    return (least > 1 ? least : 1) + (next_random() % 2 ? (int)(next_random() % 4) : 0);
}

char random_letter(const char *letters)
{
    return letters[next_random() % strlen(letters)];
}

static struct buffer *add(struct call *c, const char *name, size_t bytes)
{
    struct buffer *b = &c->buffers[c->count++];

    assert_true(c->count <= MAX_ARGUMENTS);
    bytes = bytes != 0 ? bytes : 1;
    assert_in_range(bytes, 1, MAX_BUFFER_BYTES);
    *b = (struct buffer){.name = name, .bytes = bytes};
    b->data = aligned_alloc(64, (bytes + 63) / 64 * 64);
    b->input = calloc(1, bytes);
    b->result = malloc(bytes);
    assert_true(b->data != NULL && b->input != NULL && b->result != NULL);
    return b;
}

void add_int(struct call *c, const char *name, int value)
{
    memcpy(add(c, name, sizeof value)->input, &value, sizeof value);
}

void add_letter(struct call *c, const char *name, char value)
{
    add(c, name, 1)->input[0] = (unsigned char)value;
}

static void put_real(const struct call *c, unsigned char *at, double value)
{
    float narrow = (float)value;

    if (c->type->real_bytes == sizeof narrow)
        memcpy(at, &narrow, sizeof narrow);
    else
        memcpy(at, &value, sizeof value);
}

void add_real(struct call *c, const char *name, double value)
{
    put_real(c, add(c, name, c->type->real_bytes)->input, value);
}

void add_matrix(struct call *c, const char *name, int columns, int rows, int ld, double diagonal)
{
    struct buffer *b = add(c, name, (size_t)columns * (size_t)ld * c->type->bytes);

    for (int j = 0; j < columns; j++)
        for (int i = 0; i < rows; i++)
            for (size_t part = 0; part < c->type->bytes; part += c->type->real_bytes)
                put_real(c, b->input + (size_t)(j * ld + i) * c->type->bytes + part,
                         (double)(int)next_random() * 0x1p-31 +
                             (i == j && part == 0 ? diagonal : 0));
}

void add_room(struct call *c, const char *name, int elements)
{
    add(c, name, (size_t)elements * c->type->bytes);
}

void add_real_room(struct call *c, const char *name, int elements)
{
    add(c, name, (size_t)elements * c->type->real_bytes);
}

void add_int_room(struct call *c, const char *name, int elements)
{
    add(c, name, (size_t)elements * sizeof(int));
}

void add_scratch(struct call *c, const char *name, size_t bytes)
{
    add(c, name, bytes)->is_scratch = 1;
}

void begin(struct call *c, const struct lapack_type *t, const char *driver)
{
    struct tc_plugin p = {0};
    struct tc_text_error e = {0};
    char symbol[32], prefix[64];

    memset(c, 0, sizeof *c);
    c->type = t;
    (void)snprintf(symbol, sizeof symbol, "%c%s_", t->letter, driver);
    (void)snprintf(prefix, sizeof prefix, "%s@liblapack.so", symbol);
    (void)snprintf(c->what, sizeof c->what, "%s", symbol);
    assert_int_equal(tc_plugin_read(LAPACK_PLUGIN, &p, &e), 0);
    c->proto.status = -1;
    for (size_t i = 0; i < p.task_count && c->proto.status != 0; i++)
        if (strncmp(p.tasks[i].text.symbol, prefix, strlen(prefix)) == 0)
            compile_text(&c->proto, &(struct tc_proto_text){
                                        .prototype = p.tasks[i].text.prototype,
                                        .types = p.tasks[i].text.types,
                                        .skip = p.tasks[i].text.skip,
                                        .success = p.tasks[i].text.success,
                                    });
    if (c->proto.status != 0)
        fail_msg("%s: %s", symbol, c->proto.error.sentence);
    tc_plugin_free(&p);
    c->function = dlsym(lapack, symbol);
    assert_non_null(c->function);
}

void end(struct call *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->buffers[i].data);
        free(c->buffers[i].input);
        free(c->buffers[i].result);
    }
    compiled_free(&c->proto);
}

/* Expressions over this call. */
static int64_t evaluate(const struct call *c, uint32_t program, int64_t absent)
{
    uint64_t args[TC_MAX_PARAMS] = {0};
    struct values v = {.args = args, .returned = 1};
    int64_t result = 0;
    int r;

    if (program == TC_NO_EXPR)
        return absent;
    for (size_t i = 0; i < c->count; i++)
        args[i] = (uint64_t)(uintptr_t)c->buffers[i].data;
    r = compiled_eval(&c->proto, program, &v, &result);
    if (r != 0)
        fail_msg("%s: an expression can't be evaluated", c->what);
    return result;
}

static uint8_t direction(const struct call *c, const struct buffer *b)
{
    return compiled_param(&c->proto, b->name)->dir;
}

static size_t element_bytes(const struct call *c, const struct tc_param *p)
{
    return p->elem == TC_MEMBERS ? c->type->bytes : tc_scalar_bytes(p->elem);
}

/* Marks the bytes that the prototype claims of a buffer, now. */
static void claim(const struct call *c, const struct buffer *b, unsigned char *claimed)
{
    const struct tc_param *p = compiled_param(&c->proto, b->name);
    size_t elem = element_bytes(c, p);
    int64_t pieces = evaluate(c, p->pieces, 1), length = evaluate(c, p->length, 1);
    int64_t stride = evaluate(c, p->stride, length);

    memset(claimed, 0, b->bytes);
    if (p->dir != TC_OUT && p->dir != TC_INOUT)
        return;
    for (int64_t k = 0; k < pieces; k++) {
        if ((size_t)(k * stride + length) * elem > b->bytes)
            fail_msg("%s: %s has no room for what the prototype claims", c->what, b->name);
        memset(claimed + (size_t)(k * stride) * elem, 1, (size_t)length * elem);
    }
}

/* Inputs as they are; all that isn't an input is `pattern`. */
static void prepare(struct call *c, unsigned char pattern)
{
    static unsigned char claimed[MAX_BUFFER_BYTES];

    for (size_t i = 0; i < c->count; i++)
        memcpy(c->buffers[i].data, c->buffers[i].input, c->buffers[i].bytes);
    for (size_t i = 0; i < c->count; i++) {
        struct buffer *b = &c->buffers[i];
        uint8_t dir = direction(c, b);
        if (dir == TC_IN)
            continue;
        if (dir == TC_INOUT)
            claim(c, b, claimed);
        for (size_t k = 0; k < b->bytes; k++)
            if (dir != TC_INOUT || !claimed[k])
                b->data[k] = pattern;
    }
}

/* All are pointers, but for the lengths of letters behind them: the same registers and slots for
 * any number of them. */
static void run(const struct call *c)
{
    void (*f)(void *, ...) = NULL;
    void *a[MAX_ARGUMENTS + 3];

    *(void **)(void *)&f = c->function;
    for (size_t i = 0; i < sizeof a / sizeof a[0]; i++)
        a[i] = i < c->count ? c->buffers[i].data : (void *)(uintptr_t)1;
    f(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14],
      a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23], a[24], a[25], a[26]);
}

void check(struct call *c)
{
    static unsigned char claimed[MAX_BUFFER_BYTES];

    prepare(c, 0x5a);
    if (evaluate(c, c->proto.task.skip, 0) != 0)
        fail_msg("%s: skipped", c->what);
    run(c);
    if (evaluate(c, c->proto.task.success, 0) != 1)
        fail_msg("%s: failed", c->what);
    for (size_t i = 0; i < c->count; i++)
        memcpy(c->buffers[i].result, c->buffers[i].data, c->buffers[i].bytes);
    prepare(c, 0xc3);
    run(c);
    for (size_t i = 0; i < c->count; i++) {
        const struct buffer *b = &c->buffers[i];
        int rest_is_input = direction(c, b) == TC_IN;
        claim(c, b, claimed);
        for (size_t k = 0; k < b->bytes; k++) {
            unsigned char rest = rest_is_input ? b->input[k] : 0xc3;
            if (claimed[k] && b->data[k] != b->result[k])
                fail_msg("%s: byte %zu of %s isn't written, or depends on more than inputs",
                         c->what, k, b->name);
            if (!claimed[k] && !b->is_scratch && b->data[k] != rest)
                fail_msg("%s: byte %zu of %s is written, too", c->what, k, b->name);
        }
    }
}

int succeeds(struct call *c)
{
    prepare(c, 0x5a);
    run(c);
    return evaluate(c, c->proto.task.success, 1) != 0;
}

int is_skipped(struct call *c)
{
    for (size_t i = 0; i < c->count; i++)
        memcpy(c->buffers[i].data, c->buffers[i].input, c->buffers[i].bytes);
    return evaluate(c, c->proto.task.skip, 0) != 0;
}
