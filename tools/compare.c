#include "tools/compare.h"

#define DIGEST_BYTES 16u

static size_t body_bytes(const struct tc_component *c)
{
    return c->head.form ? DIGEST_BYTES : (size_t)c->head.content_bytes;
}

static bool is_equal(const struct tc_component *a, const struct tc_component *b)
{
    return a->head.form == b->head.form && a->head.tag == b->head.tag &&
           a->head.content_bytes == b->head.content_bytes &&
           memcmp(a->content, b->content, body_bytes(a)) == 0;
}

/* Bytewise, as the material is sorted. */
static int order(const struct tc_component *a, const struct tc_component *b)
{
    size_t n = a->head.name_bytes < b->head.name_bytes ? a->head.name_bytes : b->head.name_bytes;
    int r = memcmp(a->name, b->name, n);
    return r != 0 ? r : (int)a->head.name_bytes - (int)b->head.name_bytes;
}

static bool read_one(struct tc_material_view m, size_t *at, struct tc_component *ret)
{
    *ret = (struct tc_component){.name = NULL};
    return tc_material_next(m.data, m.bytes, at, ret) == 1;
}

/* The next component of either side, and of both if they have the same name. False: the end. */
static bool step(struct tc_comparison *c, struct tc_difference *ret)
{
    size_t was_at = c->was_at, is_at = c->is_at;
    bool has_was = read_one(c->was, &was_at, &ret->was);
    bool has_is = read_one(c->is, &is_at, &ret->is);
    if (!has_was && !has_is)
        return false;
    int r = !has_was ? 1 : !has_is ? -1 : order(&ret->was, &ret->is);
    const struct tc_component *named = r <= 0 ? &ret->was : &ret->is;
    ret->name = named->name;
    ret->name_bytes = named->head.name_bytes;
    if (r <= 0)
        c->was_at = was_at;
    else
        ret->was.name = NULL;
    if (r >= 0)
        c->is_at = is_at;
    else
        ret->is.name = NULL;
    return true;
}

static bool differs(const struct tc_difference *d)
{
    return !d->was.name || !d->is.name || !is_equal(&d->was, &d->is);
}

bool tc_compare_next(struct tc_comparison *c, struct tc_difference *ret)
{
    while (step(c, ret))
        if (differs(ret))
            return true;
    return false;
}

struct tc_nearness tc_compare_all(struct tc_material_view was, struct tc_material_view is)
{
    struct tc_comparison c = tc_compare(was, is);
    struct tc_nearness n = {0};
    struct tc_difference d;
    while (step(&c, &d)) {
        if (!differs(&d)) {
            n.equal++;
            continue;
        }
        n.different++;
        n.inputs += d.name_bytes > 0 && d.name[0] != '=';
    }
    return n;
}

bool tc_is_nearer(const struct tc_nearness *a, const struct tc_nearness *b)
{
    if (a->equal != b->equal)
        return a->equal > b->equal;
    if (a->different != b->different)
        return a->different < b->different;
    return a->inputs < b->inputs;
}

bool tc_first_difference(const struct tc_component *was, const struct tc_component *is,
                         size_t element_bytes, uint64_t *ret_index)
{
    const size_t shape = 2 * sizeof(uint64_t);
    if (!was->name || !is->name || was->head.tag != TC_TAG_ARRAY || is->head.tag != TC_TAG_ARRAY ||
        was->head.form || is->head.form || was->head.content_bytes != is->head.content_bytes ||
        was->head.content_bytes < shape || element_bytes == 0 ||
        memcmp(was->content, is->content, shape) != 0)
        return false;
    for (size_t i = shape; i < was->head.content_bytes; i++) {
        if (was->content[i] != is->content[i]) {
            *ret_index = (i - shape) / element_bytes;
            return true;
        }
    }
    return false;
}
