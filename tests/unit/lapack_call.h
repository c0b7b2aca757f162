/*
 * Calls of LAPACK's functions for the test of plugins/lapack: an argument is a buffer with what it
 * holds before the call; the plugin's prototype says which bytes of it are inputs and outputs.
 * Fails the running test where a call does something else.
 */
#ifndef TC_TESTS_UNIT_LAPACK_CALL_H
#define TC_TESTS_UNIT_LAPACK_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "tests/unit/proto_fixture.h"

#define MAX_BUFFER_BYTES (1u << 18)
#define MAX_ARGUMENTS    24

/* The types of LAPACK. */
struct lapack_type {
    char letter;
    size_t bytes;      /* of an element */
    size_t real_bytes; /* of its parts */
};
extern const struct lapack_type lapack_types[4];

struct buffer {
    const char *name;
    int is_scratch; /* only what the prototype claims is looked at */
    size_t bytes;
    unsigned char *data, *input, *result;
};

struct call {
    const struct lapack_type *type;
    struct compiled proto;
    void *function;
    struct buffer buffers[MAX_ARGUMENTS];
    size_t count;
    char what[160]; /* for messages */
};

/* The library whose functions are called, from dlopen(). */
extern void *lapack;

unsigned next_random(void);
int random_size(void);
/* A leading dimension of at least that, and at least 1. */
int random_ld(int least);
/* One of the letters of a text. */
char random_letter(const char *letters);

/* `driver` without the type's letter: "gesdd". */
void begin(struct call *c, const struct lapack_type *t, const char *driver);
void end(struct call *c);

/* The arguments, in their order. */
void add_int(struct call *c, const char *name, int value);
void add_letter(struct call *c, const char *name, char value);
void add_real(struct call *c, const char *name, double value);
/* Random, with `diagonal` added to the diagonal. */
void add_matrix(struct call *c, const char *name, int columns, int rows, int ld, double diagonal);
void add_room(struct call *c, const char *name, int elements);      /* of T */
void add_real_room(struct call *c, const char *name, int elements); /* of R */
void add_int_room(struct call *c, const char *name, int elements);
/* As add_room() and so on, of what has no other value than the prototype claims. */
void add_scratch(struct call *c, const char *name, size_t bytes);

/* Every element that the prototype calls an output is written and depends on the inputs alone, and
 * no other is touched. */
void check(struct call *c);

/* Runs once, and says whether `success` holds. */
int succeeds(struct call *c);
int is_skipped(struct call *c);

#endif
