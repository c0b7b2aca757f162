/* Structs, complex numbers and the like, out of their packed form. */
#include <string.h>

#include "tools/render.h"
#include "tools/show_values.h"

/* A member of one element: where its values lie, and how far apart. */
struct place {
    const struct tc_member *member;
    const unsigned char *at;
    size_t step;
};

/* The next member of the element at `from`; `*offset` starts at 0. What is plain is kept as it lies
 * in memory, all else member by member. */
static struct place next_place(const struct tc_shown_value *v, uint32_t i,
                               const unsigned char *from, size_t *offset)
{
    const struct tc_member *m = &v->members[i];
    size_t bytes = tc_scalar_value_bytes(m->type);
    struct place p = {m, from + *offset, bytes};
    if (v->layout->is_plain)
        p = (struct place){m, from + m->offset, m->count > 1 ? m->stride : bytes};
    *offset += bytes * m->count;
    return p;
}

static uint32_t shown_count(const struct tc_show_to *to, const struct tc_member *m)
{
    return to->all || m->count < TC_RENDER_ELEMENTS ? m->count : TC_RENDER_ELEMENTS;
}

static void text_place(const struct tc_show_to *to, struct tc_text *t, const struct place *p)
{
    const struct tc_member *m = p->member;
    if (m->is_char && m->count > 1) {
        size_t bytes = strnlen((const char *)p->at, m->count);
        tc_render_string(t, p->at, bytes, bytes);
        return;
    }
    tc_text_add(t, "%s", m->count > 1 ? "{" : "");
    for (uint32_t i = 0; i < shown_count(to, m); i++) {
        tc_text_add(t, "%s", i ? ", " : "");
        tc_render_scalar(t, m->type, p->at + i * p->step);
    }
    tc_text_add(t, "%s%s", shown_count(to, m) < m->count ? ", ..." : "", m->count > 1 ? "}" : "");
}

static void text_element(const struct tc_show_to *to, struct tc_text *t,
                         const struct tc_shown_value *v, const unsigned char *from)
{
    size_t offset = 0;
    bool alone = v->layout->count == 1 && tc_flat_str(v->flat, v->members->name)[0] == '\0';
    tc_text_add(t, "%s", alone ? "" : "{");
    const char *between = "";
    for (uint32_t i = 0; i < v->layout->count; i++) {
        if (v->members[i].follow == TC_FOLLOW_IGNORED)
            continue;
        struct place p = next_place(v, i, from, &offset);
        if (!alone)
            tc_text_add(t, "%s%s = ", between, tc_flat_str(v->flat, p.member->name));
        text_place(to, t, &p);
        between = ", ";
    }
    tc_text_add(t, "%s", alone ? "" : "}");
}

void tc_show_members(const struct tc_show_to *to, struct tc_text *t, const struct tc_shown_value *v)
{
    size_t size = v->layout->packed_bytes, count = v->bytes / size;
    tc_text_add(t, "%s", tc_flat_str(v->flat, v->layout->name));
    if (v->pieces != 1)
        tc_text_add(t, "[%llu]", (unsigned long long)v->pieces);
    if (v->is_array && v->total != size)
        tc_text_add(t, "[%llu]", (unsigned long long)(v->piece_bytes / size));
    tc_text_add(t, " %s", v->total > size ? "{" : "");
    for (size_t i = 0; i < count; i++) {
        tc_text_add(t, "%s", i ? ", " : "");
        text_element(to, t, v, v->data + i * size);
    }
    tc_text_add(t, "%s%s", v->bytes < v->total ? ", ..." : "", v->total > size ? "}" : "");
}

static void json_place(struct tc_json *j, const char *name, const struct place *p)
{
    const struct tc_member *m = p->member;
    if (m->is_char && m->count > 1) {
        tc_json_textn(j, name, (const char *)p->at, strnlen((const char *)p->at, m->count));
        return;
    }
    if (m->count == 1) {
        tc_render_json_scalar(j, name, m->type, p->at);
        return;
    }
    tc_json_array(j, name);
    for (uint32_t i = 0; i < m->count; i++)
        tc_render_json_scalar(j, NULL, m->type, p->at + i * p->step);
    tc_json_close_array(j);
}

void tc_show_json_members(struct tc_json *j, const struct tc_shown_value *v)
{
    size_t size = v->layout->packed_bytes;
    tc_json_array(j, "value");
    for (size_t i = 0; i + size <= v->bytes; i += size) {
        size_t offset = 0;
        tc_json_object(j, NULL);
        for (uint32_t k = 0; k < v->layout->count; k++) {
            if (v->members[k].follow == TC_FOLLOW_IGNORED)
                continue;
            struct place p = next_place(v, k, v->data + i, &offset);
            const char *name = tc_flat_str(v->flat, p.member->name);
            json_place(j, name[0] ? name : "value", &p);
        }
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
}
