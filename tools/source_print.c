/* A function's source as a tree, for people and for programs. */
#include <stdlib.h>
#include <string.h>

#include "tools/output.h"
#include "tools/source_tree.h"

enum {
    MAX_DEPTH = 40,
};

/* Each item once, where it is first met. */
static void print_item(struct tc_tree *t, size_t index, int depth)
{
    t->items[index].printed = true;
    for (size_t i = 0; i < t->ref_count; i++) {
        const struct tc_tree_ref *ref = &t->refs[i];
        if (ref->from != index || ref->repeated)
            continue;
        printf("%*s%s", 2 * depth, "", ref->label);
        if (*ref->why)
            printf("  %scoarse%s: %s", tc_style(stdout, TC_WARN), tc_style(stdout, TC_PLAIN),
                   ref->why);
        putchar('\n');
        if (ref->to >= 0 && !t->items[ref->to].printed && depth < MAX_DEPTH)
            print_item(t, (size_t)ref->to, depth + 1);
    }
}

static bool is_bound_before(const struct tc_tree *t, size_t import)
{
    for (size_t i = 0; i < import; i++)
        if (strcmp(t->imports[i].bound, t->imports[import].bound) == 0)
            return true;
    return false;
}

/* By the object that they bind to. */
static void print_imports(const struct tc_tree *t, int depth)
{
    for (size_t i = 0; i < t->import_count; i++) {
        const char *bound = t->imports[i].bound, *comma = "";
        if (is_bound_before(t, i))
            continue;
        printf("%*s%s%s: ", 2 * depth, "",
               *bound ? bound : "in no library that the program starts with",
               t->imports[i].ends ? ", where following ends: only its name enters" : "");
        for (size_t k = i; k < t->import_count; k++) {
            if (strcmp(t->imports[k].bound, bound) != 0)
                continue;
            printf("%s%s", comma, t->imports[k].name);
            comma = ", ";
        }
        putchar('\n');
    }
}

void tc_tree_print(struct tc_tree *t, int indent)
{
    if (t->whole)
        printf("%*sit reaches too many functions: the whole file enters\n", 2 * indent, "");
    print_item(t, 0, indent);
    if (t->import_count) {
        printf("%*swhat it imports, and where that would be found:\n", 2 * indent, "");
        print_imports(t, indent + 1);
    }
    if (strcmp(t->indirect, "0") != 0)
        printf("%*snot followed: %s calls by pointers\n", 2 * indent, "", t->indirect);
}

static void json_imports(const struct tc_tree *t, struct tc_json *j)
{
    tc_json_array(j, "imports");
    for (size_t i = 0; i < t->import_count; i++) {
        tc_json_object(j, NULL);
        tc_json_text(j, "name", t->imports[i].name);
        tc_json_text(j, "version", *t->imports[i].version ? t->imports[i].version : NULL);
        tc_json_text(j, "found_in", *t->imports[i].bound ? t->imports[i].bound : NULL);
        tc_json_bool(j, "ends_here", t->imports[i].ends);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
}

void tc_tree_json(const struct tc_tree *t, struct tc_json *j)
{
    tc_json_text(j, "digest", t->digest);
    tc_json_bool(j, "whole_file", t->whole);
    tc_json_u64(j, "indirect_calls", strtoull(t->indirect, NULL, 10));
    tc_json_array(j, "items");
    for (size_t i = 0; i < t->item_count; i++) {
        tc_json_object(j, NULL);
        tc_json_text(j, "kind", t->items[i].kind);
        tc_json_text(j, "label", t->items[i].label);
        tc_json_text(j, "digest", t->items[i].digest);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
    tc_json_array(j, "references");
    for (size_t i = 0; i < t->ref_count; i++) {
        tc_json_object(j, NULL);
        tc_json_u64(j, "from", t->refs[i].from);
        tc_json_i64(j, "to", t->refs[i].to);
        tc_json_text(j, "label", t->refs[i].label);
        tc_json_text(j, "coarse", *t->refs[i].why ? t->refs[i].why : NULL);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
    if (t->import_count)
        json_imports(t, j);
}
