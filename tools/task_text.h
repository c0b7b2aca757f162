/*
 * `--task '[SYMBOL =] PROTOTYPE@OBJECT'` and `--plugin NAME`, turned into a config. Pure functions.
 */
#ifndef TC_TOOLS_TASK_TEXT_H
#define TC_TOOLS_TASK_TEXT_H

#include "tools/base.h"
#include "tools/options.h"

struct tc_task_text {
    char *prototype; /* without "@OBJECT", trimmed */
    char *object;    /* NULL: in any object */
    char *symbol;    /* as written, else the function's name in the prototype */
};

/* Splits at the last '@' behind the last closing parenthesis, and at the first '=' with blanks
 * around it. -EINVAL: no function's name, no parenthesis, nothing behind the '@' or before the '=',
 * or a control character; `*ret_why` says which. */
int tc_task_text_split(const char *text, struct tc_task_text *ret, const char **ret_why);
void tc_task_text_free(struct tc_task_text *t);

/* 'text' as YAML's single quotes have it. */
void tc_yaml_quote(struct tc_text *to, const char *text);
/* "key: |" and the text below, every line indented by `indent` spaces. */
void tc_yaml_block(struct tc_text *to, int indent, const char *key, const char *text);

/* The whole config: tasks with INPUTS + TASK_SOURCE, plugins (their paths made absolute). -EINVAL
 * with the cause. */
int tc_task_text_config(const struct tc_words *tasks, const struct tc_words *plugins,
                        struct tc_text *ret, struct tc_cause *ret_cause);

/* Writes it into the cache directory as tasks-DIGEST.yaml, unless the same is there already (its
 * stat identity names its compiled form), and returns the path. */
int tc_task_text_store(const char *cache, const struct tc_text *config, char **ret_path,
                       struct tc_cause *ret_cause);

#endif
