/* `depends:` and `deep_stop:` of a task. */
#include <errno.h>
#include <string.h>

#include "service/resolve/config_parts.h"
#include "service/resolve/config_problem.h"
#include "service/resolve/config_values.h"

static int wrong_item(struct tc_load *l, const struct tc_yaml_node *n, const char *key,
                      const char *example)
{
    tc_problem_at(l, TC_SEV_ERROR, TC_R_WRONG_TYPE, n->start, example,
                  "an item of `%s` is a text, not %s", key, tc_kind_name(n));
    return -EINVAL;
}

/* What has a slash is a file. */
static int add_file(struct tc_load *l, const struct tc_yaml_node *n, struct tc_globals *to)
{
    const char *path = tc_config_relative(l, n);

    if (path == NULL)
        return -EINVAL;
    if (to->count == TC_MAX_PARAMS || n->bytes > 255) {
        tc_problem_in(l, TC_SEV_ERROR, n->bytes > 255 ? TC_R_BAD_VALUE : TC_R_TOO_MANY, n, 0, "",
                      n->bytes > 255 ? "a path under `depends` has at most 255 bytes"
                                     : "a task has at most %u globals and files",
                      TC_MAX_PARAMS);
        return -EINVAL;
    }
    to->node[to->count] = n;
    to->at[to->count++] = (struct tc_proto_global){n->text, "", path, 1};
    return 0;
}

static int add_name(struct tc_load *l, const struct tc_yaml_node *n, struct tc_depend *ret)
{
    struct tc_symbol_parts parts;
    struct tc_text_error e;

    if (tc_parse_symbol(n->text, &parts, &e) < 0) {
        tc_problem_found(l, TC_SEV_ERROR, n, &e);
        return -EINVAL;
    }
    *ret = (struct tc_depend){
        .text = tc_flat_add_strn(l->out, n->text, n->bytes),
        .name = tc_flat_add_strn(l->out, parts.name.text, parts.name.bytes),
        .file = tc_flat_add_strn(l->out, parts.file.text, parts.file.bytes),
        .object = tc_flat_add_strn(l->out, parts.object.text, parts.object.bytes),
    };
    return 0;
}

int tc_config_list_depends(struct tc_load *l, const struct tc_yaml_node *list,
                           struct tc_globals *files, struct tc_span *ret_names)
{
    struct tc_depend names[TC_MAX_DEPENDS];
    uint32_t count = 0;
    int r = 0;

    for (const struct tc_yaml_node *n = list != NULL ? list->first : NULL; n != NULL && r == 0;
         n = n->next) {
        if (n->kind != TC_YAML_TEXT || n->bytes == 0)
            return wrong_item(l, n, "depends", "helper, or ./table.bin");
        if (strchr(n->text, '/') != NULL) {
            r = add_file(l, n, files);
        } else if (count == TC_MAX_DEPENDS) {
            tc_problem_in(l, TC_SEV_ERROR, TC_R_TOO_MANY, n, 0, "",
                          "a task depends on at most %u functions and variables", TC_MAX_DEPENDS);
            r = -EINVAL;
        } else {
            r = add_name(l, n, &names[count++]);
        }
    }
    *ret_names = tc_flat_add(l->out, names, count, sizeof names[0]);
    return r;
}

int tc_config_deep_stop(struct tc_load *l, const struct tc_yaml_node *list, struct tc_str *ret)
{
    const char *all = NULL;

    if (list == NULL)
        return 0;
    for (const struct tc_yaml_node *n = list->first; n != NULL; n = n->next) {
        if (n->kind != TC_YAML_TEXT || n->bytes == 0)
            return wrong_item(l, n, "deep_stop", "default, or libblas.so*");
        if (strpbrk(n->text, "/|[") != NULL) {
            tc_problem_in(l, TC_SEV_ERROR, TC_R_BAD_VALUE, n, 0, "libblas.so*",
                          "'%.60s' isn't the SONAME of a library, with * and ? for what varies",
                          n->text);
            return -EINVAL;
        }
        all = all == NULL ? n->text : tc_config_print(l, "%s|%s", all, n->text);
    }
    /* Nothing in the list: it ends nowhere. */
    *ret = tc_flat_add_str(l->out, all != NULL ? all : "|");
    return 0;
}
