#include "tools/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "tools/units.h"

static void quoted(struct tc_json *j, const char *s, size_t bytes);

static void separate(struct tc_json *j, const char *key)
{
    if (j->depth) {
        if (j->filled[j->depth - 1])
            fputc(',', j->to);
        j->filled[j->depth - 1] = true;
        fputc('\n', j->to);
        for (unsigned i = 0; i < j->depth; i++)
            fputs("  ", j->to);
    }
    if (key) {
        quoted(j, key, strlen(key));
        fputs(": ", j->to);
    }
}

/* How many bytes the UTF-8 sequence at `s` has; 0 if it is none (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
static size_t utf8(const unsigned char *s, size_t bytes)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n == 0 || n > bytes || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static void quoted(struct tc_json *j, const char *s, size_t bytes)
{
    const unsigned char *p = (const unsigned char *)s, *end = p + bytes;
    fputc('"', j->to);
    while (p < end) {
        size_t n = utf8(p, (size_t)(end - p));
        if (n == 0) {
            fputs("\\ufffd", j->to);
            p++;
        } else if (*p == '"' || *p == '\\') {
            fprintf(j->to, "\\%c", *p++);
        } else if (*p == '\n' || *p == '\t') {
            fputs(*p++ == '\n' ? "\\n" : "\\t", j->to);
        } else if (*p < 0x20 || *p == 0x7f) {
            fprintf(j->to, "\\u%04x", *p++);
        } else {
            fwrite(p, 1, n, j->to);
            p += n;
        }
    }
    fputc('"', j->to);
}

void tc_json_begin(struct tc_json *j, FILE *to)
{
    *j = (struct tc_json){.to = to};
}

void tc_json_end(struct tc_json *j)
{
    fputc('\n', j->to);
}

static void opens(struct tc_json *j, const char *key, char bracket)
{
    separate(j, key);
    fputc(bracket, j->to);
    if (j->depth < TC_JSON_DEPTH)
        j->filled[j->depth++] = false;
}

static void closes(struct tc_json *j, char bracket)
{
    bool filled = j->filled[--j->depth];
    if (filled) {
        fputc('\n', j->to);
        for (unsigned i = 0; i < j->depth; i++)
            fputs("  ", j->to);
    }
    fputc(bracket, j->to);
}

void tc_json_object(struct tc_json *j, const char *key)
{
    opens(j, key, '{');
}

void tc_json_array(struct tc_json *j, const char *key)
{
    opens(j, key, '[');
}

void tc_json_close_object(struct tc_json *j)
{
    closes(j, '}');
}

void tc_json_close_array(struct tc_json *j)
{
    closes(j, ']');
}

void tc_json_textn(struct tc_json *j, const char *key, const char *value, size_t bytes)
{
    separate(j, key);
    quoted(j, value, bytes);
}

void tc_json_text(struct tc_json *j, const char *key, const char *value)
{
    if (value)
        tc_json_textn(j, key, value, strlen(value));
    else
        tc_json_null(j, key);
}

void tc_json_u64(struct tc_json *j, const char *key, uint64_t value)
{
    separate(j, key);
    fprintf(j->to, "%" PRIu64, value);
}

void tc_json_i64(struct tc_json *j, const char *key, int64_t value)
{
    separate(j, key);
    fprintf(j->to, "%" PRId64, value);
}

void tc_json_double(struct tc_json *j, const char *key, double value)
{
    char text[TC_UNITS_BYTES];
    tc_units_double(value, text);
    separate(j, key);
    fprintf(j->to, isfinite(value) ? "%s" : "\"%s\"", text);
}

void tc_json_bool(struct tc_json *j, const char *key, bool value)
{
    separate(j, key);
    fputs(value ? "true" : "false", j->to);
}

void tc_json_null(struct tc_json *j, const char *key)
{
    separate(j, key);
    fputs("null", j->to);
}
