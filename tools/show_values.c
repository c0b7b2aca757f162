#include "tools/show_values.h"

#include <stdio.h>

#include "tools/render.h"

size_t tc_shown_bytes(const struct tc_show_to *to, const struct tc_shown_value *v)
{
    uint64_t size = v->layout                  ? v->layout->packed_bytes
                    : tc_scalar_bytes(v->type) ? tc_scalar_bytes(v->type)
                                               : 1;
    uint64_t limit = !v->layout && (v->is_char || v->type == TC_VOID) ? TC_RENDER_CHARS
                                                                      : TC_RENDER_ELEMENTS * size;
    return to->all || v->total < limit ? (size_t)v->total : (size_t)limit;
}

/* "double[3][4] ", "char[12] ", "" for a single value. */
static void text_type(struct tc_text *text, const struct tc_shown_value *v)
{
    uint64_t size = tc_scalar_bytes(v->type);
    if (v->layout || !v->is_array || (size && v->total == size && !v->is_char))
        return;
    tc_text_add(text, "%s", v->is_char ? "char" : size ? tc_scalar_name(v->type) : "byte");
    size = size ? size : 1;
    if (v->pieces != 1)
        tc_text_add(text, "[%llu]", (unsigned long long)v->pieces);
    tc_text_add(text, "[%llu] ", (unsigned long long)(v->piece_bytes / size));
}

static void text_value(const struct tc_show_to *to, const struct tc_shown_value *v)
{
    struct tc_text t = {0};
    uint64_t size = tc_scalar_bytes(v->type);
    text_type(&t, v);
    if (v->layout) {
        tc_show_members(to, &t, v);
    } else if (v->is_char) {
        tc_render_string(&t, v->data, v->bytes, v->total);
    } else if (!size) {
        tc_render_hex(&t, v->data, v->bytes);
        tc_text_add(&t, "%s", v->total > v->bytes ? "..." : "");
    } else if (v->total == size) {
        tc_render_scalar(&t, v->type, v->data);
    } else {
        tc_render_array(&t, v->type, v->data, v->bytes, v->total / size);
    }
    printf("  %-12.*s %s\n", (int)v->name_bytes, v->name, t.data ? t.data : "");
    tc_text_free(&t);
    if (to->raw) {
        tc_render_dump(&t, v->data, v->bytes, 0);
        fputs(t.data ? t.data : "", stdout);
        tc_text_free(&t);
    }
}

static void json_elements(struct tc_json *j, const struct tc_shown_value *v)
{
    size_t size = tc_scalar_bytes(v->type);
    tc_json_array(j, "value");
    for (size_t i = 0; i + size <= v->bytes; i += size)
        tc_render_json_scalar(j, NULL, v->type, v->data + i);
    tc_json_close_array(j);
}

static void json_value(struct tc_json *j, const struct tc_shown_value *v)
{
    size_t size = tc_scalar_bytes(v->type);
    struct tc_text hex = {0};
    tc_json_object(j, NULL);
    tc_json_textn(j, "name", v->name, v->name_bytes);
    tc_json_text(j, "type",
                 v->layout    ? tc_flat_str(v->flat, v->layout->name)
                 : v->is_char ? "char"
                 : size       ? tc_scalar_name(v->type)
                              : "bytes");
    if (v->is_array) {
        tc_json_u64(j, "pieces", v->pieces);
        tc_json_u64(j, "piece_bytes", v->piece_bytes);
    }
    tc_json_u64(j, "bytes", v->total);
    if (v->layout) {
        tc_show_json_members(j, v);
    } else if (v->is_char) {
        tc_json_textn(j, "value", (const char *)v->data, v->bytes);
    } else if (size && !v->is_array && v->bytes >= size) {
        tc_render_json_scalar(j, "value", v->type, v->data);
    } else if (size) {
        json_elements(j, v);
    } else {
        tc_render_hex(&hex, v->data, v->bytes);
        tc_json_text(j, "value", hex.data ? hex.data : "");
        tc_text_free(&hex);
    }
    if (v->bytes < v->total)
        tc_json_bool(j, "truncated", true);
    tc_json_close_object(j);
}

void tc_show_value(struct tc_show_to *to, struct tc_shown_value *v)
{
    v->bytes = tc_shown_bytes(to, v);
    if (to->json)
        json_value(&to->j, v);
    else
        text_value(to, v);
}

/* A value that is no run of elements: NULL, a digest, a place in an argument. */
void tc_show_word(struct tc_show_to *to, const char *name, size_t name_bytes, const char *kind,
                  const char *text)
{
    if (!to->json) {
        printf("  %-12.*s %s%s%s\n", (int)name_bytes, name, kind, *kind ? " " : "", text);
        return;
    }
    tc_json_object(&to->j, NULL);
    tc_json_textn(&to->j, "name", name, name_bytes);
    tc_json_text(&to->j, "type", *kind ? kind : "null");
    if (*kind)
        tc_json_text(&to->j, "value", text);
    else
        tc_json_null(&to->j, "value");
    tc_json_close_object(&to->j);
}
