#include "tools/render.h"

#include <stdio.h>
#include <string.h>

#include "tools/units.h"

const char *tc_scalar_name(uint8_t type)
{
    static const char *const names[] = {
        "void",     "int8_t",   "int16_t",           "int32_t",     "int64_t", "uint8_t",
        "uint16_t", "uint32_t", "uint64_t",          "bool",        "float",   "double",
        "pointer",  "__int128", "unsigned __int128", "long double", "struct"};
    return type < sizeof names / sizeof *names ? names[type] : "?";
}

static bool is_real(uint8_t type)
{
    return type == TC_F32 || type == TC_F64;
}

static bool is_signed(uint8_t type)
{
    return type >= TC_I8 && type <= TC_I64;
}

static uint64_t load(uint8_t type, const unsigned char *value)
{
    uint64_t raw = 0;
    uint32_t bytes = tc_scalar_bytes(type) <= sizeof raw ? tc_scalar_bytes(type) : 0;
    memcpy(&raw, value, bytes);
    /* Shifted up and, signed, down again. */
    unsigned unused = bytes ? 64 - 8 * bytes : 0;
    return is_signed(type) ? (uint64_t)((int64_t)(raw << unused) >> unused) : raw;
}

static char *real_text(uint8_t type, const unsigned char *value, char ret[TC_UNITS_BYTES])
{
    float f;
    double d;
    if (type == TC_F32) {
        memcpy(&f, value, sizeof f);
        return tc_units_float(f, ret);
    }
    memcpy(&d, value, sizeof d);
    return tc_units_double(d, ret);
}

/* Of types that are wider than 64 bits. */
static void wide_text(struct tc_text *to, uint8_t type, const unsigned char *value)
{
    char digits[48], *p = digits + sizeof digits - 1;
    long double real = 0;
    unsigned __int128 v;
    if (type == TC_F80) {
        memcpy(&real, value, 10);
        tc_text_add(to, "%.21Lg", real);
        return;
    }
    memcpy(&v, value, sizeof v);
    bool negative = type == TC_I128 && (__int128)v < 0;
    v = negative ? -v : v;
    *p = '\0';
    do
        *--p = (char)('0' + (int)(v % 10));
    while ((v /= 10) != 0);
    tc_text_add(to, "%s%s", negative ? "-" : "", p);
}

static bool is_wide(uint8_t type)
{
    return type >= TC_I128 && type <= TC_F80;
}

void tc_render_scalar(struct tc_text *to, uint8_t type, const unsigned char *value)
{
    char text[TC_UNITS_BYTES];
    if (is_real(type))
        tc_text_add(to, "%s", real_text(type, value, text));
    else if (is_wide(type))
        wide_text(to, type, value);
    else if (type == TC_BOOL)
        tc_text_add(to, "%s", *value ? "true" : "false");
    else if (type == TC_PTR)
        tc_text_add(to, "0x%llx", (unsigned long long)load(type, value));
    else if (is_signed(type))
        tc_text_add(to, "%lld", (long long)load(type, value));
    else
        tc_text_add(to, "%llu", (unsigned long long)load(type, value));
}

void tc_render_json_scalar(struct tc_json *j, const char *key, uint8_t type,
                           const unsigned char *value)
{
    double d;
    float f;
    if (type == TC_F64) {
        memcpy(&d, value, sizeof d);
        tc_json_double(j, key, d);
    } else if (type == TC_F32) {
        memcpy(&f, value, sizeof f);
        tc_json_double(j, key, (double)f);
    } else if (type == TC_BOOL) {
        tc_json_bool(j, key, *value);
    } else if (is_wide(type)) {
        /* No program's numbers are so wide: as text. */
        struct tc_text text = {0};
        wide_text(&text, type, value);
        tc_json_text(j, key, text.data);
        tc_text_free(&text);
    } else if (is_signed(type)) {
        tc_json_i64(j, key, (int64_t)load(type, value));
    } else {
        tc_json_u64(j, key, load(type, value));
    }
}

static void escaped(struct tc_text *to, unsigned char c, unsigned char next)
{
    static const char named[] = "\a\b\t\n\v\f\r\"\\", letters[] = "abtnvfr\"\\";
    const char *p = c ? strchr(named, c) : NULL;
    if (p)
        tc_text_add(to, "\\%c", letters[p - named]);
    else if (c >= 0x20 && c < 0x7f)
        tc_text_addn(to, (const char *)&c, 1);
    else /* three digits where one would swallow the next character */
        tc_text_add(to, next >= '0' && next <= '7' ? "\\%03o" : "\\%o", c);
}

void tc_render_string(struct tc_text *to, const unsigned char *s, size_t bytes, uint64_t total)
{
    tc_text_addn(to, "\"", 1);
    for (size_t i = 0; i < bytes; i++)
        escaped(to, s[i], i + 1 < bytes ? s[i + 1] : 0);
    tc_text_add(to, "\"%s", total > bytes ? "..." : "");
}

void tc_render_array(struct tc_text *to, uint8_t type, const unsigned char *values, size_t bytes,
                     uint64_t total)
{
    size_t size = tc_scalar_bytes(type);
    size_t count = size ? bytes / size : 0;
    tc_text_addn(to, "{", 1);
    for (size_t i = 0; i < count; i++) {
        tc_text_add(to, "%s", i ? ", " : "");
        tc_render_scalar(to, type, values + i * size);
    }
    tc_text_add(to, "%s}", total <= count ? "" : count ? ", ..." : "...");
}

void tc_render_hex(struct tc_text *to, const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tc_text_add(to, "%02x", bytes[i]);
}

void tc_render_dump(struct tc_text *to, const unsigned char *bytes, size_t count, uint64_t offset)
{
    for (size_t row = 0; row < count; row += 16) {
        size_t n = count - row < 16 ? count - row : 16;
        tc_text_add(to, "    %08llx ", (unsigned long long)(offset + row));
        for (size_t i = 0; i < 16; i++) {
            if (i < n)
                tc_text_add(to, i == 8 ? "  %02x" : " %02x", bytes[row + i]);
            else
                tc_text_add(to, "%s", i == 8 ? "    " : "   ");
        }
        tc_text_add(to, "  |");
        for (size_t i = 0; i < n; i++) {
            unsigned char c = bytes[row + i];
            tc_text_add(to, "%c", c >= 0x20 && c < 0x7f ? c : '.');
        }
        tc_text_add(to, "|\n");
    }
}
