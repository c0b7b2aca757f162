/*
 * A JSON writer: values are written as they come, commas and indentation are its business. Text
 * that isn't UTF-8 gets U+FFFD for each stray byte. Doubles that JSON has no number for are
 * strings ("inf", "nan"). Never fails; errors of the stream are the stream's.
 */
#ifndef TC_TOOLS_JSON_H
#define TC_TOOLS_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TC_JSON_DEPTH 16

struct tc_json {
    FILE *to;
    unsigned depth;
    bool filled[TC_JSON_DEPTH]; /* something was written on this level */
};

void tc_json_begin(struct tc_json *j, FILE *to);
/* Ends the text with a newline. */
void tc_json_end(struct tc_json *j);

/* `key` is NULL inside arrays and at the top. */
void tc_json_object(struct tc_json *j, const char *key);
void tc_json_array(struct tc_json *j, const char *key);
void tc_json_close_object(struct tc_json *j);
void tc_json_close_array(struct tc_json *j);
void tc_json_text(struct tc_json *j, const char *key, const char *value); /* NULL: null */
void tc_json_textn(struct tc_json *j, const char *key, const char *value, size_t bytes);
void tc_json_u64(struct tc_json *j, const char *key, uint64_t value);
void tc_json_i64(struct tc_json *j, const char *key, int64_t value);
void tc_json_double(struct tc_json *j, const char *key, double value);
void tc_json_bool(struct tc_json *j, const char *key, bool value);
void tc_json_null(struct tc_json *j, const char *key);

#endif
