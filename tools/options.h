/*
 * Options of sub-commands: a table says what there is. `--name VALUE`, `--name=VALUE`, `-n VALUE`,
 * `-nVALUE`; `--` ends them. The words stay the caller's.
 */
#ifndef TC_TOOLS_OPTIONS_H
#define TC_TOOLS_OPTIONS_H

#include "tools/command.h"
#include "tools/output.h"

enum tc_option_kind {
    TC_OPTION_FLAG,     /* bool */
    TC_OPTION_VALUE,    /* const char * */
    TC_OPTION_OPTIONAL, /* struct tc_optional: --name or --name=VALUE */
    TC_OPTION_LIST,     /* struct tc_words: may be given several times */
};

struct tc_optional {
    bool given;
    const char *value; /* NULL: without one */
};

struct tc_words {
    const char **word;
    size_t count, allocated;
};
void tc_words_add(struct tc_words *w, const char *word);
void tc_words_free(struct tc_words *w);

struct tc_option {
    char letter;      /* 0: none */
    const char *name; /* NULL ends the table */
    enum tc_option_kind kind;
    void *target;
};

/* What all sub-commands take. */
struct tc_common {
    const char *config;  /* -c */
    const char *storage; /* --storage, where the command has it */
    bool json;
};

enum tc_options_mode {
    TC_OPTIONS_ANYWHERE = 0,
    TC_OPTIONS_FIRST, /* the first word that is no option ends them: `run` */
};

struct tc_parsed {
    struct tc_common common;
    struct tc_words words; /* what is no option */
};

void tc_parsed_free(struct tc_parsed *p);

/* Reads argv[1..]. True: go on. False: leave with `*ret_status` (help was asked for, or the usage
 * is wrong; both have been printed). */
bool tc_options_parse(const struct tc_command *command, const struct tc_option *options,
                      enum tc_options_mode mode, int argc, char **argv, struct tc_parsed *ret,
                      int *ret_status);

/* "cachectl NAME: ..." and where help is; returns tc_own_failure. */
int tc_usage(const struct tc_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
