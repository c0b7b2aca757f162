#include "tools/component_text.h"

#include "tools/render.h"
#include "tools/units.h"

#define STRING_SHOWN 32
#define DIGEST_SHOWN 6

void tc_component_name(struct tc_text *to, const char *name, size_t bytes)
{
    static const struct {
        const char *name, *words;
    } known[] = {
        {"=run_id", "the run"},
        {"=source", "the source"},
        {"=deep", "the source, or that of what it calls"},
        {"=depends", "a function under `depends`"},
        {"=flow", "the flow's parameters"},
        {"=fpenv", "the rounding mode"},
        {"=key", "the key's text"},
        {"=task", "the task's identity or prototype"},
        {"=overlap", "which arguments share memory"},
        {"=private", "something private"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == bytes && memcmp(known[i].name, name, bytes) == 0) {
            tc_text_add(to, "%s", known[i].words);
            return;
        }
    tc_text_addn(to, name, bytes);
}

static void add_digest(struct tc_text *to, const unsigned char *digest)
{
    tc_render_hex(to, digest, DIGEST_SHOWN);
    tc_text_add(to, "...");
}

static void digest_text(struct tc_text *to, const struct tc_component *c,
                        const struct tc_component_facts *facts)
{
    char size[TC_UNITS_BYTES];
    if (facts->beginning) {
        tc_render_string(to, (const unsigned char *)facts->beginning, facts->beginning_bytes,
                         c->head.content_bytes);
    } else {
        tc_text_add(to, "%s", "digest ");
        add_digest(to, c->content);
    }
    tc_text_add(to, "%s", " of ");
    tc_text_add(to, "%s", tc_units_bytes(c->head.content_bytes, size));
}

static void string_text(struct tc_text *to, const unsigned char *s, size_t bytes)
{
    tc_render_string(to, s, bytes < STRING_SHOWN ? bytes : STRING_SHOWN, bytes);
}

/* An id if it can be read, else the beginning of a digest. */
static void bytes_text(struct tc_text *to, const unsigned char *data, size_t bytes)
{
    bool printable = bytes > 0;
    for (size_t i = 0; i < bytes; i++)
        printable &= data[i] >= 0x20 && data[i] < 0x7f;
    if (printable)
        tc_text_addn(to, (const char *)data, bytes);
    else if (bytes > DIGEST_SHOWN)
        add_digest(to, data);
    else
        tc_render_hex(to, data, bytes);
}

static void array_text(struct tc_text *to, const struct tc_component *c,
                       const struct tc_component_facts *facts)
{
    size_t shape = 2 * sizeof(uint64_t), bytes = (size_t)c->head.content_bytes;
    size_t size = tc_scalar_bytes(facts->elem), shown = TC_RENDER_ELEMENTS * (size ? size : 2);
    if (bytes < shape)
        return;
    const unsigned char *data = c->content + shape;
    bytes -= shape;
    shown = shown < bytes ? shown : bytes;
    if (facts->is_char)
        string_text(to, data, bytes);
    else if (size && bytes == size)
        tc_render_scalar(to, facts->elem, data);
    else if (size)
        tc_render_array(to, facts->elem, data, shown, bytes / size);
    else {
        tc_render_hex(to, data, shown);
        tc_text_add(to, "%s", shown < bytes ? "..." : "");
    }
}

void tc_component_text(struct tc_text *to, const struct tc_component *c,
                       const struct tc_component_facts *facts)
{
    size_t bytes = (size_t)c->head.content_bytes;
    if (!c->name) {
        tc_text_add(to, "%s", "absent");
    } else if (c->head.tag == TC_TAG_NULL) {
        tc_text_add(to, "%s", "NULL");
    } else if (c->head.form == 1) {
        digest_text(to, c, facts);
    } else if (c->head.tag >= TC_TAG_SCALAR) {
        uint8_t type = (uint8_t)(c->head.tag - TC_TAG_SCALAR);
        if (tc_scalar_bytes(type) == bytes)
            tc_render_scalar(to, type, c->content);
    } else if (c->head.tag == TC_TAG_STRING) {
        string_text(to, c->content, bytes);
    } else if (c->head.tag == TC_TAG_ARRAY) {
        array_text(to, c, facts);
    } else if (c->head.tag == TC_TAG_FUNCTION && bytes == 16) {
        tc_text_add(to, "code ");
        add_digest(to, c->content);
    } else if (c->head.tag == TC_TAG_FILE) {
        tc_text_add(to, "%s", bytes ? "content " : "no such file");
        if (bytes == 24)
            add_digest(to, c->content + 8);
    } else {
        bytes_text(to, c->content, bytes);
    }
}

static struct tc_component element(const struct tc_component *array, uint8_t type, uint64_t index)
{
    size_t size = tc_scalar_bytes(type);
    struct tc_component c = *array;
    c.head.tag = (uint8_t)(TC_TAG_SCALAR + type);
    c.head.content_bytes = size;
    c.content += 2 * sizeof(uint64_t) + index * size;
    return c;
}

void tc_difference_text(struct tc_text *to, const struct tc_difference *d,
                        const struct tc_component_facts *was, const struct tc_component_facts *is)
{
    struct tc_component before = d->was, after = d->is;
    size_t size = tc_scalar_bytes(is->elem);
    uint64_t index;
    if (!is->is_char && tc_first_difference(&before, &after, size, &index) &&
        (index + 1) * size + 2 * sizeof(uint64_t) <= before.head.content_bytes) {
        if (before.head.content_bytes > size + 2 * sizeof(uint64_t))
            tc_text_add(to, "[%llu]: ", (unsigned long long)index);
        before = element(&before, is->elem, index);
        after = element(&after, is->elem, index);
    }
    tc_component_text(to, &before, was);
    tc_text_add(to, "%s", " -> ");
    tc_component_text(to, &after, is);
}
